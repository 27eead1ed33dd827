// Normalizations: values brought to a common mean or scale.

extension OpTable {
    static let normalizationOps: [Op] = [
        Op(
            "batch_norm", .normalization,
            "gamma · (x - mean) / √(variance + epsilon) + beta, one of each a channel (axis 1)",
            [
                .tensor("x", "[batch, channels, …]: the values", .floats),
                .tensor("mean", "[channels]: taken off", .floats),
                .tensor("variance", "[channels]: divided by its root", .floats),
                .tensor("gamma", "[channels]: the scale; 1 where left out", .floats, optional: true),
                .tensor("beta", "[channels]: the offset; 0 where left out", .floats, optional: true),
                .float("epsilon", "added to the variance", default: 1e-5),
            ]
        ) { call in
            let x = try call.type("x", rank: 2...Int.max)
            for name in ["mean", "variance", "gamma", "beta"] { try call.expect(name, [x.shape[1]]) }
            return [x]
        },
        Op(
            "instance_norm", .normalization,
            "x with mean 0 and variance 1 over the axes behind the channels, times gamma plus beta",
            [
                .tensor("x", "[batch, channels, …]: the values", .floats),
                .tensor("gamma", "[channels]: the scale; 1 where left out", .floats, optional: true),
                .tensor("beta", "[channels]: the offset; 0 where left out", .floats, optional: true),
                .float("epsilon", "added to the variance", default: 1e-5),
            ],
            expansion: { call, function in
                let rank = try call.type("x").rank
                return try standardize(call, &function, axes: Array(2..<max(rank, 2))) { function, name in
                    guard call.has(name) else { return nil }
                    return try function.vector(call.id(name), along: 1, rank: rank, name: "\(call.name)_\(name)")
                }
            }
        ) { call in
            let x = try call.type("x", rank: 3...Int.max)
            for name in ["gamma", "beta"] { try call.expect(name, [x.shape[1]]) }
            return [x]
        },
        Op(
            "layer_norm", .normalization, "x with mean 0 and variance 1 over the axes, times gamma plus beta",
            [
                .tensor("x", "the values", .floats),
                .ints("axes", "the axes to normalize over; all where left out", optional: true),
                .tensor("gamma", "the scale, in the shape of the axes; 1 where left out", .floats, optional: true),
                .tensor("beta", "the offset, in the shape of the axes; 0 where left out", .floats, optional: true),
                .float("epsilon", "added to the variance", default: 1e-5),
            ],
            expansion: { call, function in
                let x = try call.type("x")
                let axes = try call.axes(rank: x.rank) ?? Array(x.shape.indices)
                return try standardize(call, &function, axes: axes) { function, name in
                    guard call.has(name) else { return nil }
                    let shape = x.shape.enumerated().map { axes.contains($0.offset) ? $0.element : 1 }
                    return try function.reshape(call.id(name), shape, name: "\(call.name)_\(name)")
                }
            }
        ) { call in
            let x = try call.type("x")
            let axes = try call.axes(rank: x.rank) ?? Array(x.shape.indices)
            for name in ["gamma", "beta"] { try call.expect(name, axes.sorted().map { x.shape[$0] }) }
            return [x]
        },
        Op(
            "l2_norm", .normalization, "x / √(the sum of x² over the last three axes + epsilon)",
            [
                .tensor("x", "[…, channels, height, width]: the values", .floats),
                .float("epsilon", "added to the sum", default: 1e-6),
            ],
            expansion: { call, function in
                let name = call.name
                let axes = function.ints([-3, -2, -1], name: "\(name)_axes")
                let keep = function.constant(Tensor(true), name: "\(name)_keep")
                let x = try call.id("x")
                let sum = try function.one(
                    "reduce_sum_square", name: "\(name)_sum", ["x": [x], "axes": [axes], "keep_dims": [keep]])
                let epsilon = function.constant(Tensor(try call.float("epsilon")), name: "\(name)_epsilon")
                let scale = try function.one("rsqrt", name: "\(name)_rsqrt", ["x": [sum], "epsilon": [epsilon]])
                return [try function.one("mul", name: "\(name)_mul", ["x": [x], "y": [scale]])]
            }
        ) { [try $0.type("x", rank: 3...Int.max)] },
        Op(
            "local_response_norm", .normalization,
            "x / (k + alpha / size · the sum of x² over `size` neighbouring channels)^beta",
            [
                .tensor("x", "[channels, height, width] or, from rank 4 on, [batch, channels, …]: the values", .floats),
                .int("size", "the number of channels summed"),
                .float("alpha", "the scale of the sum", default: 1e-4), .float("beta", "the exponent", default: 0.75),
                .float("k", "added to the sum", default: 1),
            ],
            expansion: localResponse
        ) { call in
            _ = try call.int("size", in: Call.positive)
            return [try call.type("x", rank: 3...Int.max)]
        },
    ]

    /// (x - mean) / √(variance + epsilon) over some axes, with the scale and offset that `parameter` makes meet x.
    private static func standardize(
        _ call: Call, _ function: inout Function, axes: [Int], parameter: (inout Function, String) throws -> ValueID?
    ) throws -> [ValueID] {
        let name = call.name
        let x = try call.id("x")
        let dtype = try function.tensorType(x).dtype
        let axes = function.ints(axes, name: "\(name)_axes")
        let keep = function.constant(Tensor(true), name: "\(name)_keep")
        let mean = try function.one(
            "reduce_mean", name: "\(name)_mean", ["x": [x], "axes": [axes], "keep_dims": [keep]])
        let centred = try function.one("sub", name: "\(name)_centred", ["x": [x], "y": [mean]])
        let square = try function.one("square", name: "\(name)_square", ["x": [centred]])
        let variance = try function.one(
            "reduce_mean", name: "\(name)_variance", ["x": [square], "axes": [axes], "keep_dims": [keep]])
        let epsilon = function.constant(Tensor(try call.float("epsilon")), name: "\(name)_epsilon")
        let scale = try function.one("rsqrt", name: "\(name)_rsqrt", ["x": [variance], "epsilon": [epsilon]])
        var result = try function.one("mul", name: "\(name)_mul", ["x": [centred], "y": [scale]])
        if let gamma = try parameter(&function, "gamma") {
            let gamma = try function.cast(gamma, to: dtype, name: "\(name)_gamma")
            result = try function.one("mul", name: "\(name)_scaled", ["x": [result], "y": [gamma]])
        }
        if let beta = try parameter(&function, "beta") {
            let beta = try function.cast(beta, to: dtype, name: "\(name)_beta")
            result = try function.one("add", name: "\(name)_shifted", ["x": [result], "y": [beta]])
        }
        return [result]
    }

    /// e^(x - the largest x) over its sum.
    @Sendable static func softmax(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let x = try call.id("x")
        let rank = try function.tensorType(x).rank
        let axes = function.ints(rank == 0 ? [] : [try call.axis(rank: rank)], name: "\(name)_axes")
        let keep = function.constant(Tensor(true), name: "\(name)_keep")
        let largest = try function.one(
            "reduce_max", name: "\(name)_max", ["x": [x], "axes": [axes], "keep_dims": [keep]])
        let shifted = try function.one("sub", name: "\(name)_sub", ["x": [x], "y": [largest]])
        let powers = try function.one("exp", name: "\(name)_exp", ["x": [shifted]])
        let sum = try function.one(
            "reduce_sum", name: "\(name)_sum", ["x": [powers], "axes": [axes], "keep_dims": [keep]])
        return [try function.one("real_div", name: "\(name)_div", ["x": [powers], "y": [sum]])]
    }

    /// The mean of x² over a window of channels is an average pooling with the channels as a spatial axis.
    private static func localResponse(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let x = try call.id("x")
        let type = try function.tensorType(x)
        let size = try call.int("size", in: Call.positive)
        let square = try function.one("square", name: "\(name)_square", ["x": [x]])
        let shape = type.rank == 3 ? [1] + type.shape : type.shape
        let rest = try shape.dropFirst(2).product()
        let image = try function.reshape(square, [shape[0], 1, shape[1], rest], name: "\(name)_image")
        let mean = try function.one(
            "avg_pool", name: "\(name)_mean",
            [
                "x": [image], "kernel_sizes": [function.ints([size, 1], name: "\(name)_kernel")],
                "pad_type": [function.constant(Tensor("custom"), name: "\(name)_pad_type")],
                "pad": [function.ints([size / 2, (size - 1) / 2, 0, 0], name: "\(name)_pad")],
            ])
        let back = try function.reshape(mean, type.shape, name: "\(name)_back")
        let base = try function.one(
            "linear_activation", name: "\(name)_base",
            [
                "x": [back], "alpha": [function.constant(Tensor(try call.float("alpha")), name: "\(name)_alpha")],
                "beta": [function.constant(Tensor(try call.float("k")), name: "\(name)_k")],
            ])
        let exponent = function.number(Double(try call.float("beta")), as: type.dtype, name: "\(name)_exponent")
        let power = try function.one("pow", name: "\(name)_pow", ["x": [base], "y": [exponent]])
        return [try function.one("real_div", name: "\(name)_div", ["x": [x], "y": [power]])]
    }
}
