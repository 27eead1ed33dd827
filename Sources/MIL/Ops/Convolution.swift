// Convolutions and poolings: a window moves over the spatial axes of [batch, channels, spatial…].

extension OpTable {
    static let convolutionOps: [Op] = [
        Op(
            "conv", .convolution, "each output element is the sum of a window of x times the weight, plus the bias",
            [
                .tensor("x", "[batch, inputs, spatial…]: one to three spatial axes", .floats),
                .tensor("weight", "[outputs, inputs / groups, kernel…]: the filters", .floats),
                .tensor("bias", "[outputs]: added to each channel; nothing where left out", .floats, optional: true),
                .ints("strides", "steps of the window; 1 where left out", optional: true),
                .text("pad_type", "valid, same, same_lower or custom", default: "valid"),
                .ints(
                    "pad", "elements added before and after each spatial axis where pad_type is custom", optional: true),
                .ints("dilations", "distance of the window's elements; 1 where left out", optional: true),
                .int("groups", "independent groups of channels", default: 1),
            ]
        ) { call in
            let x = try call.type("x", rank: 3...5)
            let weight = try call.type("weight", rank: x.rank...x.rank)
            let groups = try call.int("groups", in: Call.positive)
            guard x.shape[1] % groups == 0, x.shape[1] / groups == weight.shape[1], weight.shape[0] % groups == 0 else {
                throw Failure(
                    .invalidArgument,
                    "\(x.shape[1]) channels in \(groups) groups do not fit a weight of shape \(weight.shape); "
                        + "it must be [a multiple of groups, channels / groups, kernel…].")
            }
            try call.expect("bias", [weight.shape[0]])
            let window = try Window(convolution: call)
            return [TensorType(x.dtype, [x.shape[0], weight.shape[0]] + window.output)]
        },
        Op(
            "conv_transpose", .convolution, "each element of x adds the weight times itself to a window of the output",
            [
                .tensor("x", "[batch, inputs, spatial…]: one to three spatial axes", .floats),
                .tensor("weight", "[inputs, outputs / groups, kernel…]: the filters", .floats),
                .tensor("bias", "[outputs]: added to each channel; nothing where left out", .floats, optional: true),
                .ints(
                    "pad", "elements cut off before and after each spatial axis where pad_type is custom",
                    optional: true),
                .ints(
                    "output_shape", "the shape of the whole result, where it does not follow from the rest",
                    optional: true),
                .text("pad_type", "valid, same or custom", default: "valid"),
                .ints("strides", "steps of the window in the output; 1 where left out", optional: true),
                .ints("dilations", "distance of the window's elements; 1 where left out", optional: true),
                .int("groups", "independent groups of channels", default: 1),
            ]
        ) { call in
            let x = try call.type("x", rank: 3...5)
            let weight = try call.type("weight", rank: x.rank...x.rank)
            let groups = try call.int("groups", in: Call.positive)
            guard x.shape[1] == weight.shape[0], x.shape[1] % groups == 0 else {
                throw Failure(
                    .invalidArgument,
                    "\(x.shape[1]) channels in \(groups) groups do not fit a weight of shape \(weight.shape); "
                        + "it must be [channels, outputs / groups, kernel…].")
            }
            let outputs = try weight.shape[1].times(groups)
            try call.expect("bias", [outputs])
            let window = try Window(transposedConvolution: call)
            return [TensorType(x.dtype, [x.shape[0], outputs] + window.output)]
        },
        pooling("max_pool", "the largest element of each window"),
        pooling(
            "avg_pool", "the mean of each window",
            [
                .bool(
                    "exclude_padding_from_average", "divide by the number of elements of x in the window only",
                    default: false)
            ]),
        pooling("l2_pool", "the square root of the sum of x² in each window", spatial: 1...2),
    ]

    private static func pooling(
        _ name: String, _ words: String, _ more: [Op.Parameter] = [], spatial: ClosedRange<Int> = 1...3
    ) -> Op {
        let parameters: [Op.Parameter] = [
            .tensor(
                "x",
                "[batch, channels, spatial…]: \(spatial.upperBound == 2 ? "one or two" : "one to three") spatial axes",
                .floats),
            .ints("kernel_sizes", "lengths of the window"),
            .ints("strides", "steps of the window; 1 where left out", optional: true),
            .text("pad_type", "valid, same, same_lower or custom"),
            .ints("pad", "elements added before and after each spatial axis where pad_type is custom", optional: true),
            .bool("ceil_mode", "round the number of windows up; the last may reach past the end", default: false),
        ]
        return Op(name, .convolution, words, parameters + more) { call in
            let x = try call.type("x", rank: spatial.lowerBound + 2...spatial.upperBound + 2)
            return [TensorType(x.dtype, x.shape.prefix(2) + (try Window(pooling: call)).output)]
        }
    }
}

/// How the window of a convolution or pooling moves over the spatial axes: one number an axis in each list.
public struct Window: Sendable, Hashable {
    public let kernel: [Int]
    public let strides: [Int]
    public let dilations: [Int]
    /// Elements added in front of x and behind it. A transposed convolution cuts them off its result instead;
    /// there a negative number stands for positions at the end that no element of x reaches.
    public let padsBefore: [Int]
    public let padsAfter: [Int]
    /// The spatial shape of the result.
    public let output: [Int]

    /// The window of a `conv`. The ranks of x and weight have been checked.
    public init(convolution call: Call) throws {
        let (x, weight) = (try call.type("x").shape, try call.type("weight").shape)
        let padType = try call.text("pad_type", among: Window.padTypes, anyCase: true)
        try self.init(
            input: Array(x.dropFirst(2)), kernel: Array(weight.dropFirst(2)),
            strides: call.perAxis("strides", x.count - 2),
            dilations: call.perAxis("dilations", x.count - 2), padType: padType,
            pad: call.pad(x.count - 2, wanted: padType == "custom"))
    }

    /// The window of a `max_pool`, `avg_pool` or `l2_pool`.
    public init(pooling call: Call) throws {
        let x = try call.type("x").shape
        let axes = x.count - 2
        let padType = try call.text("pad_type", among: Window.padTypes, anyCase: true)
        let ceilMode = try call.bool("ceil_mode")
        let pad = try call.pad(axes, wanted: padType == "custom" || ceilMode)
        try self.init(
            input: Array(x.dropFirst(2)), kernel: call.ints("kernel_sizes", count: axes, in: Call.positive),
            strides: call.perAxis("strides", axes), dilations: Array(repeating: 1, count: axes), padType: padType,
            pad: pad,
            ceilMode: ceilMode)
    }

    static let padTypes = ["valid", "same", "same_lower", "custom"]

    /// The window of a convolution or pooling. `pad` holds before and after for each axis in turn and counts where `padType` is `custom`.
    public init(
        input: [Int], kernel: [Int], strides: [Int], dilations: [Int], padType: String, pad: [Int],
        ceilMode: Bool = false
    ) throws {
        let axes = try Window.check(input, kernel, strides, dilations, pad)
        if ceilMode {
            guard axes <= 2, padType != "same", (0..<axes).allSatisfy({ pad[2 * $0] == pad[2 * $0 + 1] }) else {
                throw Failure(
                    .invalidArgument,
                    "ceil_mode is true; then x must have one or two spatial axes, pad_type must not be same, and pads must be equal on both sides."
                )
            }
        }
        var (before, after, output): ([Int], [Int], [Int]) = ([], [], [])
        for axis in 0..<axes {
            let (size, stride) = (input[axis], strides[axis])
            let reach = try Window.reach(kernel[axis], dilations[axis])
            switch padType {
            case "same", "same_lower":
                let total = max(0, try ((size + stride - 1) / stride).times(stride) - size + reach - stride)
                before.append(padType == "same" ? total / 2 : total - total / 2)
                after.append(total - (before.last ?? 0))
            case "valid":
                before.append(0)
                after.append(0)
            case "custom":
                before.append(pad[2 * axis])
                after.append(pad[2 * axis + 1])
            default:
                throw Failure(
                    .invalidArgument, "There is no pad_type '\(padType)'; it must be one of \(Window.padTypes).")
            }
            let padded = size + before[axis] + after[axis]
            guard padded >= reach else {
                throw Failure(
                    .invalidArgument,
                    "The spatial axis \(axis) has \(padded) elements with its pads, fewer than the window of \(reach) covers."
                )
            }
            var count = (padded - reach + (ceilMode ? stride - 1 : 0)) / stride + 1
            // The last window may not begin behind x and half of the pads; without pads it may.
            let total = before[axis] + after[axis]
            if ceilMode, total > 0, try 2 * ((count - 1).times(stride) - size) >= total { count -= 1 }
            output.append(count)
        }
        self.kernel = kernel
        self.strides = strides
        self.dilations = dilations
        self.output = output
        padsBefore = before
        padsAfter = after
    }

    /// The window of a `conv_transpose`. The ranks of x and weight have been checked.
    public init(transposedConvolution call: Call) throws {
        let (x, weight) = (try call.type("x").shape, try call.type("weight").shape)
        let axes = x.count - 2
        let padType = try call.text("pad_type", among: ["valid", "same", "custom"], anyCase: true)
        let pad = try call.pad(axes, wanted: padType == "custom")
        (kernel, strides) = (Array(weight.dropFirst(2)), try call.perAxis("strides", axes))
        dilations = try call.perAxis("dilations", axes)
        _ = try Window.check(Array(x.dropFirst(2)), kernel, strides, dilations, pad)
        var whole: [Int]?
        if call.has("output_shape") {
            let shape = try call.ints("output_shape", count: x.count, in: Call.sizes)
            let channels = try weight[1].times(call.int("groups", in: Call.positive))
            guard shape[0] == x[0], shape[1] == channels else {
                throw Failure(
                    .invalidArgument,
                    "The output_shape \(shape) must begin with the batch, \(x[0]), and the outputs, \(channels).")
            }
            whole = Array(shape.dropFirst(2))
        }
        var (before, after, output): ([Int], [Int], [Int]) = ([], [], [])
        for axis in 0..<axes {
            let full = try max(0, (x[axis + 2] - 1).times(strides[axis])) + Window.reach(kernel[axis], dilations[axis])
            var wanted = full
            switch padType {
            case "same": wanted = try x[axis + 2].times(strides[axis])
            case "custom": wanted = full - pad[2 * axis] - pad[2 * axis + 1]
            default: break
            }
            wanted = whole?[axis] ?? wanted
            guard wanted >= 1, x[axis + 2] >= 1 else {
                throw Failure(
                    .invalidArgument,
                    "The spatial axis \(axis) of the result would have \(wanted) elements; it must have at least one.")
            }
            before.append(padType == "custom" ? pad[2 * axis] : padType == "same" ? max(0, full - wanted) / 2 : 0)
            after.append(full - wanted - before[axis])
            output.append(wanted)
        }
        self.output = output
        padsBefore = before
        padsAfter = after
    }

    /// Elements that one window covers, its gaps included.
    private static func reach(_ kernel: Int, _ dilation: Int) throws -> Int { try (kernel - 1).times(dilation) + 1 }

    private static func check(_ input: [Int], _ kernel: [Int], _ strides: [Int], _ dilations: [Int], _ pad: [Int])
        throws -> Int
    {
        let axes = input.count
        guard kernel.count == axes, strides.count == axes, dilations.count == axes, pad.count == 2 * axes else {
            throw Failure(
                .invalidArgument,
                "The window needs one kernel size, stride and dilation and two pads for each of \(axes) spatial axes.")
        }
        let limit = TensorType.largestByteCount
        guard (kernel + strides + dilations).allSatisfy({ (1...limit).contains($0) }),
            (input + pad).allSatisfy({ (0...limit).contains($0) })
        else {
            throw Failure(
                .outOfRange,
                "The kernel \(kernel), strides \(strides) and dilations \(dilations) must be at least 1, pads at least 0."
            )
        }
        return axes
    }
}

extension Call {
    /// One positive number for each axis, 1 where the parameter is left out.
    fileprivate func perAxis(_ name: String, _ axes: Int) throws -> [Int] {
        guard has(name) else { return Array(repeating: 1, count: axes) }
        return try ints(name, count: axes, in: Call.positive)
    }

    /// Two pads for each axis; 0 where they are left out or do not count.
    fileprivate func pad(_ axes: Int, wanted: Bool) throws -> [Int] {
        guard wanted, has("pad") else { return Array(repeating: 0, count: 2 * axes) }
        return try ints("pad", count: 2 * axes, in: Call.sizes)
    }
}
