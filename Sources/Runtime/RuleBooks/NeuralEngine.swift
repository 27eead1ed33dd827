import MIL

extension RuleBook {
    /// What keeps work off Apple's Neural Engine. Apple documents little of it; most numbers come from people who measured.
    public static let neuralEngine = RuleBook(
        processor: "Neural Engine", prefix: "ane",
        rules: engineTypes + engineShapes + engineConvolutions + engineLayouts + engineMovements + engineOps
            + engineNewerOps)
}

extension Rule.Source {
    fileprivate static let typed = Rule.Source(
        "coremltools guide: Typed Execution",
        "https://apple.github.io/coremltools/docs-guides/source/typed-execution.html", .documented)
    fileprivate static let ports = Rule.Source(
        "coremltools guide: Model Input and Output Types",
        "https://apple.github.io/coremltools/docs-guides/source/model-input-and-output-types.html", .documented)
    fileprivate static let flexible = Rule.Source(
        "coremltools guide: Flexible Input Shapes",
        "https://apple.github.io/coremltools/docs-guides/source/flexible-inputs.html", .documented)
    fileprivate static let transformers = Rule.Source(
        "Apple: Deploying Transformers on the Apple Neural Engine",
        "https://machinelearning.apple.com/research/neural-engine-transformers", .documented)
    fileprivate static let rank = Rule.Source(
        "apple/coremltools: coremltools/converters/mil/mil/program.py", "https://github.com/apple/coremltools",
        .documented)
    fileprivate static let language = Rule.Source(
        "coremltools: MIL Ops",
        "https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html",
        .documented)
    fileprivate static let converter = Rule.Source(
        "apple/coremltools: coremltools/converters/mil/frontend/torch/ops.py", "https://github.com/apple/coremltools",
        .documented)
    fileprivate static let surface = Rule.Source(
        "ane-guide, chapter 4: Capability surface",
        "https://ane-guide.readthedocs.io/en/latest/part-1-machine/04-capability-surface.html", .reported)
    fileprivate static let design = Rule.Source(
        "ane-guide, chapter 17: Model-design rules",
        "https://ane-guide.readthedocs.io/en/latest/part-5-practice/17-model-design-rules.html", .reported)
    fileprivate static let pitfalls = Rule.Source(
        "sbryngelson/ane-guide: part-5-practice/19-pitfalls-and-limits.md",
        "https://github.com/sbryngelson/ane-guide", .reported)
    fileprivate static let matrix = Rule.Source(
        "sbryngelson/ane-guide: appendices/a-op-device-matrix.md", "https://github.com/sbryngelson/ane-guide", .reported
    )
    fileprivate static let layers = Rule.Source(
        "hollance/neural-engine: docs/unsupported-layers.md", "https://github.com/hollance/neural-engine", .reported)
    fileprivate static let ranges = Rule.Source(
        "pytorch/executorch#7907: a message of the compiler", "https://github.com/pytorch/executorch/issues/7907",
        .reported)
    fileprivate static let narrowing = Rule.Source(
        "apple/coremltools#2222", "https://github.com/apple/coremltools/issues/2222", .reported)
    fileprivate static let measured = Rule.Source(
        "maderix: Inside the M4 Apple Neural Engine, part 2",
        "https://maderix.substack.com/p/inside-the-m4-apple-neural-engine-615", .reported)
    fileprivate static let floor = Rule.Source(
        "maderix: Inside the M4 Apple Neural Engine, part 2",
        "https://maderix.substack.com/p/inside-the-m4-apple-neural-engine-615", .inferred)
}

private typealias Breach = Rule.Breach

// MARK: Element types

private let wideTypes: Set<DataType> = [.float64, .complex64, .complex128, .int64, .uint64, .uint32, .string]

private let engineTypes: [Rule] = [
    Rule(
        "ane.dtype.fp16-only", .refused,
        "The Neural Engine computes in fp16 only: a program typed fp32 runs on the CPU and the GPU.", .typed
    ) { subject in
        guard subject.op.name != "cast", subject.tensors.contains(where: { $0.dtype == .float32 }) else { return nil }
        return Breach("fp32 \(subject.shapes)", "convert the model with compute_precision=ct.precision.FLOAT16")
    },
    Rule(
        "ane.dtype.wide", .refused,
        "The Neural Engine has no fp64, complex numbers, 64-bit or unsigned 32-bit integers, nor has a Core ML program.",
        .language
    ) { subject in
        guard let dtype = subject.tensors.map(\.dtype).first(where: wideTypes.contains) else { return nil }
        let rewrite =
            dtype.isComplex
            ? "keep real and imaginary parts as two fp16 tensors"
            : dtype.isFloat ? "compute in fp16" : "use int32 for positions, and compute in fp16"
        return Breach(dtype.name, rewrite)
    },
    Rule(
        "ane.dtype.integer", .refused,
        "The Neural Engine does no arithmetic on integers: its values are fp16, integers are positions, weights or images.",
        .surface
    ) { subject in
        let positions: Set<Op.Family> = [.indexing, .compression, .random]
        guard !positions.contains(subject.op.family), !["cast", "shape"].contains(subject.op.name),
            let type = subject.inputs.first(where: { $0.dtype.isInteger && !wideTypes.contains($0.dtype) }),
            // Short positions may be moved about.
            subject.op.family != .shape || type.dtype.size > 2
        else { return nil }
        return Breach(
            "\(type.dtype.name) \(type.shape)",
            "compute it before the model, or in fp16, which holds integers up to 2048 exactly")
    },
    Rule(
        "ane.dtype.integer-cast", .refused, "Casts from and to int32 do not compile for the Neural Engine.", .surface
    ) { subject in
        guard subject.op.name == "cast",
            let type = subject.tensors.first(where: { $0.dtype.isInteger && $0.dtype.size > 2 })
        else {
            return nil
        }
        return Breach(
            "\(type.dtype.name) \(type.shape)", "give and take fp16 at the model's border, and cast outside of it")
    },
    Rule(
        "ane.dtype.integer-range", .note,
        "coremltools narrows int32 to 16 bits for the Neural Engine, whatever the range: larger numbers may come out wrong.",
        .narrowing
    ) { subject in
        // Making the ranges reads the whole function, so only for operations that have 16-bit results.
        guard subject.outputs.contains(where: { [.int16, .uint16].contains($0.dtype) }),
            let what = IntegerRanges(of: subject.call.function).excess(of: subject.call.operation)
        else { return nil }
        return Breach(
            what, "convert without the pass common::add_int16_cast; \(subject.op.name) in int32 holds them all")
    },
    Rule(
        "ane.dtype.border-cast", .note,
        "An fp32 input or output of an fp16 program is converted at every prediction, outside of the Neural Engine.",
        .ports
    ) { subject in
        let function = subject.call.function
        let border = Set(function.inputs + function.outputs)
        guard subject.op.name == "cast", subject.tensors.contains(where: { $0.dtype == .float32 }),
            (subject.call.operation.inputs + subject.call.operation.outputs).contains(where: border.contains)
        else { return nil }
        return Breach(
            "fp32 \(subject.shapes)",
            "declare it fp16: ct.TensorType(dtype=np.float16) with minimum_deployment_target=ct.target.iOS16")
    },
]

// MARK: Shapes and sizes

private let engineShapes: [Rule] = [
    Rule("ane.rank.above-5", .refused, "Core ML takes tensors of at most five axes.", .rank) { subject in
        guard let type = subject.tensors.first(where: { $0.rank > 5 }) else { return nil }
        return Breach("\(type.shape)", "reshape to \(merged(type.shape, toRank: 4)) before it, and back after it")
    },
    Rule(
        "ane.rank.product", .refused,
        "Matrix products of five axes and more do not compile for the Neural Engine: the depth axis must be 1.", .design
    ) { subject in
        guard ["linear", "matmul"].contains(subject.op.name),
            let type = subject.inputs.first(where: { $0.rank >= 5 })
        else { return nil }
        let rank = subject.op.name == "linear" ? 3 : 4
        return Breach("\(type.shape)", "reshape to \(merged(type.shape, toRank: rank)) before it, and back after it")
    },
    Rule(
        "ane.dim.16384", .refused,
        "The Neural Engine takes at most 16384 rows and columns (65536 from the M4 and A16 on).", .ranges
    ) { subject in
        for type in subject.tensors {
            let first = subject.kernel != nil ? 2 : type.rank > 2 ? type.rank - 2 : 0
            for size in type.shape.dropFirst(first) where size > 16384 {
                return Breach("\(type.shape)", "split the \(size)-wide axis into \(parts(of: size, limit: 16384))")
            }
        }
        return nil
    },
    Rule("ane.dim.channels", .refused, "The Neural Engine takes at most 65536 channels.", .ranges) { subject in
        for type in subject.tensors where type.rank > 2 {
            let size = type.shape[subject.kernel != nil ? 1 : type.rank - 3]
            if size > 65536 {
                return Breach("\(type.shape)", "split the \(size) channels into \(parts(of: size, limit: 65536))")
            }
        }
        return nil
    },
    Rule("ane.dim.zero", .refused, "A tensor without elements does not compile for the Neural Engine.", .surface) {
        subject in
        guard let type = subject.tensors.first(where: { $0.shape.contains(0) }) else { return nil }
        return Breach("\(type.shape)", "leave the operation out: it computes nothing")
    },
    Rule(
        "ane.shape.flexible", .slow,
        "With ranges of sizes Core ML keeps a model off the Neural Engine, unless it is loaded with "
            + "reshapeFrequency .infrequent (iOS 17.4).", .flexible
    ) { subject in
        guard subject.isFlexible else { return nil }
        return Breach(
            subject.shapes,
            "list the sizes with ct.EnumeratedShapes (up to 128), or pad to one; else load it with "
                + "optimization_hints={'reshapeFrequency': ct.ReshapeFrequency.Infrequent}")
    },
    Rule(
        "ane.shape.data-dependent", .refused,
        "The Neural Engine runs programs of fixed shapes: no size may depend on the values.", .surface
    ) { subject in
        guard let type = subject.tensors.first(where: { !$0.isFixed }) else { return nil }
        return Breach(
            type.description, "keep the full size and mark what counts with a mask, or do it after the model")
    },
    Rule(
        ofProgram: "ane.size.dispatch", .slow,
        "Starting the Neural Engine costs 0.1 to 0.23 ms; a CPU does 100 million operations in that time.", .floor
    ) { work in
        guard work < 1e8 else { return nil }
        return Breach(
            "\(amount(work)) operations in all",
            "stay on the CPU, predict in batches, or make one model of several that run in turn")
    },
    Rule(
        "ane.size.working-set", .note,
        "What exceeds 2 MB leaves the memory on the chip: the operation runs in tiles.", .design
    ) { subject in
        let types = subject.tensors.filter { $0.isFixed && $0.dtype.isFloat }
        guard subject.op.family != .shape, let type = types.max(by: { elements($0) < elements($1) }) else { return nil }
        let bytes = saturatingProduct([elements(type), 2])
        guard bytes > 2 << 20 else { return nil }
        let count = (bytes - 1) / (2 << 20) + 1
        return Breach("\(type.shape) of \(bytes >> 20) MB", "work on \(count) parts along an axis that is not reduced")
    },
    Rule(
        "ane.size.product", .slow,
        "A matrix product of more than about 32 MB of operands and results loses a third of its speed.", .measured
    ) { subject in
        guard ["linear", "matmul"].contains(subject.op.name) else { return nil }
        let operands = [subject.type("x"), subject.type("y"), subject.type("weight")].compactMap { $0 }
        let bytes = (operands + subject.outputs).reduce(0) { saturatingSum($0, saturatingProduct([elements($1), 2])) }
        guard bytes > 32 << 20, let type = subject.outputs.first, let columns = type.shape.last else { return nil }
        let count = (bytes - 1) / (32 << 20) + 1
        return Breach(
            "\(bytes >> 20) MB",
            count <= columns
                ? "split the \(columns) columns into \(parts(of: columns, limit: (columns - 1) / count + 1))"
                : "split the product by rows or heads")
    },
]

// MARK: Convolutions

private let engineConvolutions: [Rule] = [
    Rule(
        "ane.conv.3d", .refused,
        "Convolutions over three axes do not compile for the Neural Engine, although its tables name them.", .surface
    ) { subject in
        guard let kernel = subject.kernel, kernel.count == 3 else { return nil }
        return Breach(
            "kernel \(kernel)",
            kernel[0] == 1
                ? "make the first spatial axis part of the batch, and convolve over two"
                : "add up \(kernel[0]) convolutions over two axes, one for each plane of the kernel")
    },
    Rule(
        "ane.conv.kernel-width", .refused, "Convolution kernels are at most 16 wide in fp16.", .matrix
    ) { subject in
        guard let kernel = subject.kernel, let width = kernel.last, width > 16 else { return nil }
        return Breach("kernel \(kernel)", patches(subject) ?? narrower(width))
    },
    Rule(
        "ane.conv.kernel-width-m1", .slow, "On the M1 convolution kernels are at most 13 wide in fp16.", .design
    ) { subject in
        guard let kernel = subject.kernel, let width = kernel.last, (14...16).contains(width) else { return nil }
        return Breach("kernel \(kernel)", patches(subject) ?? narrower(width))
    },
    Rule(
        "ane.conv.kernel-height", .refused, "Convolution kernels are at most 29 high (32 from the M2 on).", .design
    ) { subject in
        guard let kernel = subject.kernel, kernel.count == 2, kernel[0] > 29 else { return nil }
        return Breach(
            "kernel \(kernel)",
            "add up convolutions with parts of the kernel, \(parts(of: kernel[0], limit: 29)) high, on shifted inputs")
    },
    Rule(
        "ane.conv.computed-weight", .refused,
        "A convolution whose weight is computed compiles for the Neural Engine at batch 1 only.", .pitfalls
    ) { subject in
        guard subject.kernel != nil, !subject.isConstant("weight"), let batch = subject.type("x")?.shape.first,
            batch > 1
        else { return nil }
        return Breach("batch \(batch)", "make the weight a constant, or predict one by one")
    },
    Rule(
        "ane.conv.dilation", .note,
        "Dilated convolutions: older devices were seen to leave the Neural Engine for them, newer ones run them.",
        .layers
    ) { subject in
        let dilations = subject.ints("dilations")
        guard subject.kernel != nil, let largest = dilations.max(), largest > 1 else { return nil }
        return Breach(
            "dilations \(dilations)",
            "for old devices: space_to_batch by \(largest), a convolution without dilation, batch_to_space")
    },
    Rule(
        "ane.conv.stride", .slow, "Strides other than 1, 2, 3, 4 and 8 are done in several steps.", .matrix
    ) { subject in
        let strides = subject.ints("strides")
        guard subject.kernel != nil, let odd = strides.first(where: { ![1, 2, 3, 4, 8].contains($0) }) else {
            return nil
        }
        if let patches = patches(subject) { return Breach("strides \(strides)", patches) }
        let first = [8, 4, 3, 2].first { odd % $0 == 0 && [2, 3, 4, 8].contains(odd / $0) }
        return Breach(
            "strides \(strides)",
            first.map { "stride \($0) here, and \(odd / $0) in a neighbouring layer" }
                ?? "use several layers with strides of 2, 3, 4 and 8")
    },
]

private func narrower(_ width: Int) -> String {
    "add up convolutions with parts of the kernel, \(parts(of: width, limit: 13)) wide, on shifted inputs"
}

/// The rewrite of a convolution that cuts an image into patches; nil for others.
private func patches(_ subject: Subject) -> String? {
    guard subject.op.name == "conv", let kernel = subject.kernel, kernel.count == 2, kernel[0] == kernel[1],
        subject.ints("strides") == kernel, let weight = subject.type("weight"),
        let factor = [8, 4, 3, 2].first(where: { kernel[0] % $0 == 0 && [1, 2, 3, 4, 8].contains(kernel[0] / $0) })
    else { return nil }
    let second = kernel[0] / factor
    let unshuffle = second == 1 ? "by \(factor)" : "by \(factor) and by \(second)"
    let channels = saturatingProduct(Array(weight.shape.dropFirst()))
    return "pixel_unshuffle \(unshuffle), then a 1 × 1 convolution with a \([weight.shape[0], channels, 1, 1]) weight"
}

// MARK: Layout

private let engineLayouts: [Rule] = [
    Rule(
        "ane.layout.linear", .slow,
        "The Neural Engine is built for convolutions: a product by a constant matrix runs faster as a 1 × 1 convolution "
            + "of [batch, channels, 1, positions].", .transformers
    ) { subject in
        let name = subject.op.name == "linear" ? "weight" : "y"
        guard ["linear", "matmul"].contains(subject.op.name), subject.isConstant(name), let x = subject.type("x"),
            let weight = subject.type(name), weight.rank == 2, (2...4).contains(x.rank), x.isFixed,
            let channels = x.shape.last, channels > 0, (try? call(subject, hasTransposed: "transpose_x")) != true
        else { return nil }
        let results = saturatingProduct(weight.shape) / channels
        let positions = x.shape[x.rank - 2]
        let batch = saturatingProduct(Array(x.shape.dropLast(2)))
        return Breach(
            "\(x.shape) × \(weight.shape)",
            "reshape x to \([batch, channels, 1, positions]) once for all layers, and use a 1 × 1 convolution with a "
                + "\([results, channels, 1, 1]) weight")
    },
    Rule(
        "ane.layout.last-axis", .slow,
        "The last axis is padded to 64 bytes, 32 elements of fp16: a short one wastes memory and time.", .transformers
    ) { subject in
        guard subject.op.family != .shape, let type = subject.outputs.first, type.rank > 2, type.isFixed,
            let last = type.shape.last, last > 0, last < 8, elements(type) >= 4096,
            type.shape[type.rank - 2] >= 8 * last
        else { return nil }
        var better = type.shape
        better.swapAt(type.rank - 1, type.rank - 2)
        return Breach("\(type.shape): \(last) of 32 used", "exchange the last two axes: \(better)")
    },
    Rule(
        "ane.layout.transpose", .note, "A transposition that moves the last axis copies memory on the Neural Engine.",
        .transformers
    ) { subject in
        let order = subject.ints("perm")
        guard subject.op.name == "transpose", let last = order.last, let type = subject.type("x"),
            last != type.rank - 1, last != -1
        else { return nil }
        return Breach(
            "\(type.shape) by \(order)",
            "keep [batch, channels, 1, positions] throughout, and let matmul and einsum transpose")
    },
]

private func call(_ subject: Subject, hasTransposed name: String) throws -> Bool {
    subject.op.parameter(name) == nil ? false : try subject.call.bool(name)
}

private func elements(_ type: TensorType) -> Int { saturatingProduct(type.shape) }

/// A large number for people: `12 million`.
private func amount(_ work: Double) -> String {
    let units: [(least: Double, name: String)] = [(1e9, " billion"), (1e6, " million"), (1e3, " thousand")]
    guard work.isFinite, work < 1e15 else { return "very many" }
    guard let unit = units.first(where: { work >= $0.least }) else { return "\(Int(work))" }
    let value = work / unit.least
    return (value < 10 ? "\((value * 10).rounded() / 10)" : "\(Int(value))") + unit.name
}

// MARK: Movement

private let engineMovements: [Rule] = [
    Rule("ane.pad.channels", .refused, "Only rows and columns can be padded on the Neural Engine.", .design) {
        subject in
        guard subject.op.name == "pad", let x = subject.type("x"), x.rank > 2 else { return nil }
        let amounts = subject.ints("pad")
        let leading = amounts.dropLast(4)
        guard leading.contains(where: { $0 != 0 }) else { return nil }
        return Breach("pad \(amounts) of \(x.shape)", "concatenate with a constant along that axis")
    },
    Rule(
        "ane.pad.mode", .slow,
        "Padding by reflection or by the edge needs the sampler that the Neural Engine has from the M2 on.", .design
    ) { subject in
        guard subject.op.name == "pad", let mode = subject.text("mode"), mode != "constant" else { return nil }
        return Breach(
            "mode \(mode)", "pad with a constant, or concatenate slices of x (for reflection, reversed ones)")
    },
    Rule(
        "ane.slice.offset", .note,
        "On the M1 and M2 a slice that begins inside the last axis turns values above 4094 into infinity.", .pitfalls
    ) { subject in
        guard ["slice_by_index", "slice_by_size"].contains(subject.op.name), let begin = subject.ints("begin").last,
            begin != 0, (try? subject.call.bools("begin_mask").last) != true, subject.type("x")?.dtype.isFloat == true
        else { return nil }
        return Breach(
            "\(subject.shapes) from \(begin)", "scale the values down, slice along another axis, or use split")
    },
    Rule("ane.tile.factor", .slow, "Repeating works by factors of 2, 3, 4 and 8; others take more steps.", .matrix) {
        subject in
        let repeats = subject.ints("reps")
        guard subject.op.name == "tile", let odd = repeats.first(where: { !isMadeOf2And3($0) }) else { return nil }
        return Breach("reps \(repeats)", "concatenate \(odd) times, or let the next operation broadcast")
    },
    Rule(
        "ane.block.factor", .refused, "Space and depth are exchanged by factors of 2, 3, 4 and 8 only.", .matrix
    ) { subject in
        let names = [
            "depth_to_space": "block_size", "space_to_depth": "block_size", "pixel_shuffle": "upscale_factor",
            "pixel_unshuffle": "downscale_factor",
        ]
        guard let name = names[subject.op.name], let factor = subject.int(name), ![1, 2, 3, 4, 8].contains(factor)
        else { return nil }
        return Breach("factor \(factor)", "use a factor of 2, 3, 4 or 8, or two of them in turn")
    },
    Rule(
        "ane.argmax.2048", .refused,
        "The position of the largest or smallest is found along at most 2048 elements, since fp16 counts no further.",
        .design
    ) { subject in
        guard ["reduce_argmax", "reduce_argmin"].contains(subject.op.name), let x = subject.type("x"), x.rank > 0,
            let axis = try? Call.axis(subject.int("axis") ?? -1, rank: x.rank), x.shape[axis] > 2048
        else { return nil }
        return Breach(
            "axis of \(x.shape[axis])",
            "take it of parts, \(parts(of: x.shape[axis], limit: 2048)), and then among their winners; or after the model"
        )
    },
]

private func isMadeOf2And3(_ count: Int) -> Bool {
    guard count > 0 else { return true }
    var rest = count
    for factor in [2, 3] { while rest % factor == 0 { rest /= factor } }
    return rest == 1
}

// MARK: Ops without a path

private let engineOps: [Rule] = [
    Rule(
        "ane.op.recurrent", .refused, "The Neural Engine has no recurrent cells: LSTM, GRU and RNN run elsewhere.",
        .surface
    ) { subject in
        guard ["lstm", "gru", "rnn"].contains(subject.op.name), let steps = subject.type("x")?.shape.first else {
            return nil
        }
        return Breach(
            "\(subject.op.name) of \(steps) steps",
            steps > 32
                ? "use convolutions or attention over the \(steps) steps; unrolled, they would be \(steps) copies"
                : "write the \(steps) steps out with linear, sigmoid, tanh and mul")
    },
    Rule(
        "ane.op.scatter", .refused, "The Neural Engine cannot write to places that are computed.", .converter,
        ops: [
            "scatter": "select by a mask, or multiply by a one-hot matrix; slice_update where the place is constant",
            "scatter_along_axis": "select by a mask, or multiply by a one-hot matrix",
            "scatter_nd": "select by a mask, or multiply by a one-hot matrix",
        ]),
    Rule(
        "ane.op.reduce-prod", .refused, "Products over an axis have no path on the Neural Engine.", .surface,
        ops: ["reduce_prod": "exp(reduce_sum(log(x))) where x is positive, or mul of slices where they are few"]),
    Rule(
        "ane.op.mod", .refused, "Remainders have no path on the Neural Engine.", .matrix,
        ops: ["mod": "sub(x, mul(y, floor(real_div(x, y))))"]),
    Rule(
        "ane.op.logical", .refused, "Logical operations of two operands have no path on the Neural Engine.", .matrix,
        ops: [
            "logical_and": "mul or minimum of fp16 masks of 0 and 1", "logical_or": "maximum of fp16 masks of 0 and 1",
            "logical_xor": "not_equal of fp16 masks of 0 and 1",
        ]),
    Rule(
        "ane.op.trigonometry", .refused,
        "Of the trigonometric functions the Neural Engine has sin, cos, atan and tanh only.", .matrix,
        ops: [
            "tan": "real_div(sin(x), cos(x))", "asin": "atan(x · rsqrt(1 - x²))",
            "acos": "π/2 - atan(x · rsqrt(1 - x²))",
            "atanh": "0.5 · log((1 + x) / (1 - x))", "sinh": "0.5 · (exp(x) - exp(-x))",
            "cosh": "0.5 · (exp(x) + exp(-x))",
        ]),
    Rule(
        "ane.op.one-hot", .refused, "one_hot has no path on the Neural Engine.", .surface,
        ops: ["one_hot": "compare with a constant range, or make it before the model"]),
    Rule(
        "ane.op.mask", .refused, "band_part has no path on the Neural Engine.", .surface,
        ops: ["band_part": "multiply by a constant mask of 0 and 1"]),
    Rule(
        "ane.op.shape", .refused, "Shapes cannot be computed on the Neural Engine.", .surface,
        ops: ["shape": "fix the shapes of the inputs, so that the converter makes it a constant"]),
    Rule(
        "ane.op.windows", .refused, "sliding_windows and reverse_sequence have no path on the Neural Engine.", .surface,
        ops: [
            "sliding_windows": "stack slices, or use a convolution with an identity kernel",
            "reverse_sequence": "reverse the whole axis, and shift by slices",
        ]),
    Rule(
        "ane.op.non-zero", .refused, "Positions of what is not zero have no size that is known.", .surface,
        ops: ["non_zero": "keep the mask, and find the positions after the model"]),
    Rule(
        "ane.op.random", .refused, "Random numbers of these distributions are not drawn on the Neural Engine.", .matrix,
        ops: [
            "random_normal": "give the noise as an input", "random_bernoulli": "give the noise as an input",
            "random_categorical": "draw after the model, from its probabilities",
        ]),
    Rule(
        "ane.op.suppression", .refused, "Non-maximum suppression runs on the CPU or the GPU.", .matrix,
        ops: ["non_maximum_suppression": "make it the last operation, or do it in the app"]),
    Rule("ane.op.custom", .refused, "Custom ops have no way to the Neural Engine.", .layers) { subject in
        guard subject.op.custom != nil else { return nil }
        return Breach(subject.op.name, "put it at the beginning or the end of the model, or say it with Core ML's ops")
    },
    Rule(
        "ane.op.not-in-core-ml", .refused, "Core ML's language has no such op, and nothing in it says the same.",
        .language
    ) { subject in
        guard !subject.op.isCoreML, subject.op.custom == nil, subject.op.expansion == nil else { return nil }
        return Breach(subject.op.name, "do it before or after the model, or approximate it with Core ML's ops")
    },
]

// MARK: Ops that newer devices have

private let engineNewerOps: [Rule] = [
    Rule(
        "ane.op.gather", .slow,
        "Lookups by computed positions leave the Neural Engine of the M1; from the M2 on it has a sampler for them.",
        .matrix,
        ops: [
            "gather": "do the lookup before the model and give it the rows; or multiply by a one-hot matrix",
            "gather_along_axis": "multiply by a one-hot matrix where the axis is short",
            "gather_nd": "do the lookup before the model and give it the values",
        ]),
    Rule(
        "ane.op.sort", .slow, "The Neural Engine sorts from the M2 on.", .matrix,
        ops: [
            "topk": "do it after the model; for the largest alone use reduce_max and reduce_argmax",
            "argsort": "do it after the model",
        ]),
    Rule(
        "ane.op.sampler", .slow, "The Neural Engine samples images at computed places from the M2 on.", .matrix,
        ops: [
            "crop_resize": "crop outside of the model", "resample": "sample outside of the model",
            "affine": "transform the image outside of the model",
        ]),
    Rule(
        "ane.op.resize", .note,
        "On the M1 resizing is done by other means, with other rounding than from the M2 on.", .matrix,
        ops: [
            "resize": "compare results on an M1; factors of 2 are also a conv_transpose",
            "resize_bilinear": "compare results on an M1; factors of 2 are also a conv_transpose",
            "resize_nearest_neighbor": "compare results on an M1; whole factors are also a tile",
            "upsample_bilinear": "compare results on an M1; factors of 2 are also a conv_transpose",
            "upsample_nearest_neighbor": "compare results on an M1; whole factors are also a tile",
        ]),
    Rule(
        "ane.op.newest", .slow, "The Neural Engine has this from the M3 on.", .matrix,
        ops: [
            "sin": "make it a constant where its operand is one, as for rotary embeddings, or give it as an input",
            "cos": "make it a constant where its operand is one, as for rotary embeddings, or give it as an input",
            "reduce_argmin": "reduce_argmax of the negated values", "random_uniform": "give the noise as an input",
        ]),
    Rule("ane.op.cumsum", .note, "Running sums take a special path on the Neural Engine.", .matrix) { subject in
        guard subject.op.name == "cumsum", let x = subject.type("x"), x.rank > 0,
            let axis = try? Call.axis(subject.int("axis") ?? 0, rank: x.rank)
        else { return nil }
        let size = x.shape[axis]
        return Breach(
            "axis of \(size)",
            size <= 1024 ? "matmul with a constant \(size) × \(size) triangle of ones" : "do it after the model")
    },
]
