// Reductions: one result for all elements along some axes; and the running sum.

extension OpTable {
    static let reductionOps: [Op] = [
        reduction("reduce_sum", "the sum of the elements along the axes", .numbersAndComplex),
        reduction("reduce_mean", "the mean of the elements along the axes", .floatsAndComplex.union([.int32])),
        reduction("reduce_prod", "the product of the elements along the axes", .numbersAndComplex),
        reduction("reduce_max", "the largest element along the axes", ofSomething: true),
        reduction("reduce_min", "the smallest element along the axes", ofSomething: true),
        reduction("reduce_sum_square", "the sum of x² along the axes") { call, function in
            try chain(call, &function, ["square", "reduce_sum"])
        },
        reduction("reduce_l1_norm", "the sum of |x| along the axes") { call, function in
            try chain(call, &function, ["abs", "reduce_sum"])
        },
        reduction("reduce_l2_norm", "the square root of the sum of x² along the axes") { call, function in
            try chain(call, &function, ["square", "reduce_sum", "sqrt"])
        },
        reduction("reduce_log_sum", "the natural logarithm of the sum along the axes") { call, function in
            try chain(call, &function, ["reduce_sum", "log"])
        },
        reduction("reduce_log_sum_exp", "ln of the sum of e^x along the axes", ofSomething: true, expansion: logSumExp),
        truth("reduce_any", "whether an element along the axes is other than 0"),
        truth("reduce_all", "whether all elements along the axes are other than 0"),
        variance,
        argument("reduce_argmax", "the position of the largest element along the axis"),
        argument("reduce_argmin", "the position of the smallest element along the axis"),
        running("cumsum", "the sum of all elements up to each one along the axis"),
        running("cumprod", "the product of all elements up to each one along the axis", isCoreML: false),
    ]

    private static func running(_ name: String, _ words: String, isCoreML: Bool = true) -> Op {
        let parameters: [Op.Parameter] = [
            .tensor("x", "the values", .numbersAndComplex), .int("axis", "the axis to go along", default: 0),
            .bool("exclusive", "leave the element itself out", default: false),
            .bool("reverse", "go from the end", default: false),
        ]
        return Op(name, .reduction, words, parameters, isCoreML: isCoreML) { call in
            let x = try call.type("x")
            _ = try call.axis(rank: x.rank)
            return [x]
        }
    }

    private static func truth(_ name: String, _ words: String) -> Op {
        Op(name, .reduction, words, parameters(.all), isCoreML: false) { [TensorType(.bool, try reduced($0))] }
    }

    private static let variance = Op(
        "reduce_variance", .reduction,
        "the sum of squared distances from the mean along the axes, over their number less the correction",
        parameters(.floats) + [.float("correction", "1 for an unbiased estimate from a sample", default: 0)],
        expansion: squaredDistances, isCoreML: false
    ) { call in
        _ = try call.float("correction")
        return [TensorType(try call.type("x").dtype, try reduced(call))]
    }

    private static func parameters(_ dtypes: Set<DataType>) -> [Op.Parameter] {
        [
            .tensor("x", "the values", dtypes),
            .ints("axes", "the axes to reduce; all of them where left out", optional: true),
            .bool("keep_dims", "keep each reduced axis with length 1", default: false),
        ]
    }

    private static func reduced(_ call: Call) throws -> [Int] {
        let x = try call.type("x")
        return reduced(x.shape, try call.axes(rank: x.rank) ?? Array(x.shape.indices), keep: try call.bool("keep_dims"))
    }

    private static func reduction(
        _ name: String, _ words: String, _ dtypes: Set<DataType> = .numbers, ofSomething: Bool = false,
        expansion: Op.Expansion? = nil
    ) -> Op {
        Op(name, .reduction, words, parameters(dtypes), expansion: expansion) { call in
            let x = try call.type("x")
            let shape = try reduced(call)
            if ofSomething {
                try requireElements(x.shape, call.axes(rank: x.rank) ?? Array(x.shape.indices), shape)
            }
            return [TensorType(x.dtype, shape)]
        }
    }

    private static func argument(_ name: String, _ words: String) -> Op {
        let parameters: [Op.Parameter] = [
            .tensor("x", "the values"), .int("axis", "the axis to search", default: -1),
            .bool("keep_dims", "keep the axis with length 1", default: false),
            .text("output_dtype", "the element type of the positions: `int32`, `uint16` or `int64`", default: "int32"),
        ]
        return Op(name, .reduction, words, parameters) { call in
            let x = try call.type("x")
            let axis = try call.axis(rank: x.rank)
            let shape = reduced(x.shape, [axis], keep: try call.bool("keep_dims"))
            try requireElements(x.shape, [axis], shape)
            return [
                TensorType(try call.positions("output_dtype", among: [.int32, .uint16, .int64], anyCase: true), shape)
            ]
        }
    }

    /// A shape without some axes, or with length 1 in their place.
    static func reduced(_ shape: [Int], _ axes: [Int], keep: Bool) -> [Int] {
        let axes = Set(axes)
        return shape.enumerated().compactMap { index, size in axes.contains(index) ? (keep ? 1 : nil) : size }
    }

    private static func requireElements(_ shape: [Int], _ axes: [Int], _ result: [Int]) throws {
        guard result.contains(0) || !axes.contains(where: { shape[$0] == 0 }) else {
            throw Failure(
                .invalidArgument, "The axes \(axes) of shape \(shape) hold no elements; they must hold at least one.")
        }
    }

    /// Elementwise ops around one reduction, which takes axes and keep_dims. Integers go through fp32 for a root or
    /// logarithm.
    private static func chain(_ call: Call, _ function: inout Function, _ ops: [String]) throws -> [ValueID] {
        let name = call.name
        var x = try call.id("x")
        let dtype = try function.tensorType(x).dtype
        let viaFloat = !dtype.isFloat && (ops.last == "sqrt" || ops.last == "log")
        if viaFloat { x = try function.cast(x, to: .float32, name: name) }
        for op in ops {
            var arguments = [Argument("x", [x])]
            if op.hasPrefix("reduce") { arguments += call.operation.arguments.filter { $0.name != "x" } }
            if op == "log" {
                arguments.append(Argument("epsilon", [function.constant(Tensor(Float(0)), name: "\(name)_epsilon")]))
            }
            x = try function.one(Operation(op, arguments, outputs: []), name: "\(name)_\(op)")
        }
        return [viaFloat ? try function.cast(x, to: dtype, name: name) : x]
    }

    /// The mean of squared distances from the mean; a correction scales it, so that no sum leaves the range of fp16.
    private static func squaredDistances(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let (name, x, type) = (call.name, try call.id("x"), try call.type("x"))
        let axes = try call.axes(rank: type.rank) ?? Array(type.shape.indices)
        let axesID = function.ints(axes, name: "\(name)_axes")
        let keep = function.constant(Tensor(true), name: "\(name)_keep")
        let keepDims = function.constant(Tensor(try call.bool("keep_dims")), name: "\(name)_keep_dims")
        let mean = try function.one(
            "reduce_mean", name: "\(name)_mean", ["x": [x], "axes": [axesID], "keep_dims": [keep]])
        let distances = try function.one("sub", name: "\(name)_sub", ["x": [x], "y": [mean]])
        let squares = try function.one("square", name: "\(name)_square", ["x": [distances]])
        let result = try function.one(
            "reduce_mean", name: "\(name)_variance", ["x": [squares], "axes": [axesID], "keep_dims": [keepDims]])
        let correction = Double(try call.float("correction"))
        if correction == 0 { return [result] }
        let count = try elementCount(type.shape, axes)
        let factor = function.number(count / max(count - correction, 0), as: type.dtype, name: "\(name)_factor")
        return [try function.one("mul", name: "\(name)_mul", ["x": [result], "y": [factor]])]
    }

    /// How many elements go into one result.
    private static func elementCount(_ shape: [Int], _ axes: [Int]) throws -> Double {
        let sizes = axes.map { shape[$0] }
        guard sizes.allSatisfy({ $0 >= 0 }) else {
            throw Failure(.unsupported, "A corrected variance needs the sizes of the axes \(axes) before the run.")
        }
        return sizes.reduce(1) { $0 * Double($1) }
    }

    private static func logSumExp(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        var x = try call.id("x")
        let type = try function.tensorType(x)
        if !type.dtype.isFloat { x = try function.cast(x, to: .float32, name: name) }
        let axes = try call.axes(rank: type.rank) ?? Array(type.shape.indices)
        let axesID = function.ints(axes, name: "\(name)_axes")
        let keep = function.constant(Tensor(true), name: "\(name)_keep")
        let largest = try function.one(
            "reduce_max", name: "\(name)_max", ["x": [x], "axes": [axesID], "keep_dims": [keep]])
        let shifted = try function.one("sub", name: "\(name)_sub", ["x": [x], "y": [largest]])
        let powers = try function.one("exp", name: "\(name)_exp", ["x": [shifted]])
        let sum = try function.one(
            "reduce_sum", name: "\(name)_sum", ["x": [powers], "axes": [axesID], "keep_dims": [keep]])
        let zero = function.constant(Tensor(Float(0)), name: "\(name)_epsilon")
        let logarithm = try function.one("log", name: "\(name)_log", ["x": [sum], "epsilon": [zero]])
        var result = try function.one("add", name: "\(name)_add", ["x": [logarithm], "y": [largest]])
        if !(try call.bool("keep_dims")) {
            result = try function.reshape(result, reduced(type.shape, axes, keep: false), name: name)
        }
        if !type.dtype.isFloat { result = try function.cast(result, to: type.dtype, name: name) }
        return [result]
    }
}
