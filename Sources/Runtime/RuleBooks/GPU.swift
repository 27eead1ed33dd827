import MIL

extension RuleBook {
    /// What keeps work off the GPU, as Core ML and MPSGraph use it.
    public static let gpu = RuleBook(
        processor: "GPU", prefix: "gpu", rules: gpuTypes + gpuShapes + gpuOps)
}

extension Rule.Source {
    fileprivate static let shading = Rule.Source(
        "Apple: Metal Shading Language Specification",
        "https://developer.apple.com/metal/Metal-Shading-Language-Specification.pdf", .documented)
    fileprivate static let types = Rule.Source(
        "Apple: MPSDataType", "https://developer.apple.com/documentation/metalperformanceshaders/mpsdatatype",
        .documented)
    fileprivate static let graph = Rule.Source(
        "Apple: MPSGraph", "https://developer.apple.com/documentation/metalperformanceshadersgraph/mpsgraph",
        .documented)
    fileprivate static let data = Rule.Source(
        "Apple: MPSGraphTensorData",
        "https://developer.apple.com/documentation/metalperformanceshadersgraph/mpsgraphtensordata", .documented)
    fileprivate static let rank = Rule.Source(
        "apple/coremltools: coremltools/converters/mil/mil/program.py", "https://github.com/apple/coremltools",
        .documented)
    fileprivate static let integers = Rule.Source(
        "pytorch/pytorch#91272", "https://github.com/pytorch/pytorch/pull/91272", .reported)
    fileprivate static let axes = Rule.Source(
        "pytorch/pytorch#95538", "https://github.com/pytorch/pytorch/issues/95538", .reported)
    fileprivate static let dimension = Rule.Source(
        "pytorch/pytorch#158824", "https://github.com/pytorch/pytorch/pull/158824", .reported)
    fileprivate static let large = Rule.Source(
        "pytorch/pytorch#149325", "https://github.com/pytorch/pytorch/issues/149325", .reported)
    fileprivate static let cache = Rule.Source(
        "pytorch/pytorch#181213", "https://github.com/pytorch/pytorch/issues/181213", .reported)
    fileprivate static let floor = Rule.Source(
        "pytorch/pytorch#184778: what a round trip takes", "https://github.com/pytorch/pytorch/pull/184778", .inferred)
    fileprivate static let outside = Rule.Source(
        "pytorch/pytorch#144824", "https://github.com/pytorch/pytorch/issues/144824", .reported)
    fileprivate static let nan = Rule.Source(
        "Apple: MPSGraph, minimumWithNaNPropagation and maximumWithNaNPropagation",
        "https://developer.apple.com/documentation/metalperformanceshadersgraph/mpsgraph", .documented)
}

private typealias Breach = Rule.Breach

// MARK: Element types

private let gpuTypes: [Rule] = [
    Rule("gpu.dtype.float64", .refused, "Apple's GPUs have no fp64.", .shading) { subject in
        guard subject.tensors.contains(where: { $0.dtype == .float64 }) else { return nil }
        return Breach("fp64 \(subject.shapes)", "compute in fp32, or in two fp32 parts where that is not enough")
    },
    Rule("gpu.dtype.complex128", .refused, "MPSGraph has complex numbers of fp16 and fp32 only.", .types) { subject in
        guard subject.tensors.contains(where: { $0.dtype == .complex128 }) else { return nil }
        return Breach("complex128 \(subject.shapes)", "use complex64")
    },
    Rule(
        "gpu.dtype.complex", .note,
        "Complex numbers run by MPSGraph from macOS 14 and iOS 17 on; a Core ML file cannot hold them.", .types
    ) { subject in
        guard subject.tensors.contains(where: { $0.dtype == .complex64 }) else { return nil }
        return Breach(
            "complex64 \(subject.shapes)", "for a Core ML file keep real and imaginary parts as two tensors")
    },
    Rule(
        "gpu.reduce.int64", .refused, "Reductions do not take int64 in MPSGraph.", .integers
    ) { subject in
        guard subject.op.family == .reduction, subject.inputs.contains(where: { $0.dtype == .int64 }) else {
            return nil
        }
        return Breach("int64 \(subject.shapes)", "cast to int32 before it")
    },
]

// MARK: Shapes and sizes

private let gpuShapes: [Rule] = [
    Rule("gpu.rank.above-5", .refused, "Core ML takes tensors of at most five axes.", .rank) { subject in
        guard let type = subject.tensors.first(where: { $0.rank > 5 }) else { return nil }
        return Breach("\(type.shape)", "reshape to \(merged(type.shape, toRank: 5)) before it, and back after it")
    },
    Rule("gpu.rank.above-16", .refused, "MPSGraph takes tensors of at most sixteen axes.", .data) { subject in
        guard let type = subject.tensors.first(where: { $0.rank > 16 }) else { return nil }
        return Breach("\(type.rank) axes", "reshape to \(merged(type.shape, toRank: 5)) before it, and back after it")
    },
    Rule(
        "gpu.reduce.outer-axes", .refused,
        "MPSGraph was seen to abort where a reduction goes over an axis beyond the last four.", .axes
    ) { subject in
        guard subject.op.family == .reduction, let x = subject.type("x"), x.rank > 4 else { return nil }
        let given = subject.op.parameter("axes") == nil ? [subject.int("axis") ?? 0] : subject.ints("axes")
        let axes = given.isEmpty ? Array(0..<x.rank) : given.map { $0 < 0 ? $0 + x.rank : $0 }
        guard axes.contains(where: { $0 < x.rank - 4 }) else { return nil }
        return Breach(
            "axes \(axes) of \(x.shape)",
            "reshape to \(merged(x.shape, toRank: 4)) where leading axes are reduced together, else transpose first")
    },
    Rule("gpu.dim.int-max", .refused, "No axis may be longer than 2147483647 elements.", .dimension) { subject in
        for type in subject.tensors {
            for size in type.shape where size > Int(Int32.max) {
                return Breach("\(type.shape)", "split the axis into \(parts(of: size, limit: Int(Int32.max)))")
            }
        }
        return nil
    },
    Rule("gpu.size.4gb", .refused, "MPSGraph was seen to abort on tensors of more than 4 GiB.", .large) { subject in
        for type in subject.tensors where type.isFixed {
            let bytes = saturatingProduct(type.shape + [type.dtype.size])
            if bytes > 1 << 32 {
                return Breach("\(type.shape) of \(bytes >> 30) GiB", "work on \((bytes - 1) / (1 << 32) + 1) parts")
            }
        }
        return nil
    },
    Rule(
        "gpu.shape.flexible", .slow, "A graph is compiled for each shape, and MPSGraph keeps them all.", .cache
    ) { subject in
        guard subject.isFlexible else { return nil }
        return Breach(subject.shapes, "pad to a few sizes, such as powers of two")
    },
    Rule(
        "gpu.shape.data-dependent", .slow,
        "Where a size depends on the values, the CPU waits for the GPU to tell it.", .floor
    ) { subject in
        guard let type = subject.outputs.first(where: { !$0.isFixed }) else { return nil }
        return Breach(type.description, "keep the full size with a mask, or make it the last operation")
    },
    Rule(
        ofProgram: "gpu.size.dispatch", .slow,
        "A round trip to the GPU costs about 0.1 ms; a CPU does 100 million operations in that time.", .floor
    ) { work in
        guard work < 1e8 else { return nil }
        return Breach("\(Int(max(work, 0))) operations in all", "stay on the CPU, or predict in batches")
    },
]

// MARK: Ops

private let gpuOps: [Rule] = [
    Rule(
        "gpu.op.composed", .slow, "MPSGraph has no such op: it is said with several, or runs on the CPU.", .graph,
        ops: [
            "local_response_norm": "use batch_norm or layer_norm",
            "reverse_sequence": "reverse the whole axis where all lengths are equal",
            "sliding_windows": "stack slices, or use a convolution with an identity kernel",
            "crop_resize": "crop outside of the model, or use resample",
            "non_maximum_suppression": "make it the last operation, or do it in the app",
        ]),
    Rule("gpu.op.recurrent", .slow, "The steps of a recurrent cell wait for each other on the GPU.", .floor) {
        subject in
        guard ["lstm", "gru", "rnn"].contains(subject.op.name), let x = subject.type("x"), x.rank > 1 else {
            return nil
        }
        return Breach(
            "\(subject.op.name) of \(x.shape[0]) steps at batch \(x.shape[1])",
            "stay on the CPU at batch \(x.shape[1]), or predict in batches")
    },
    Rule(
        "gpu.op.custom", .refused, "A custom op runs on the GPU only where it has a Metal kernel.", .graph
    ) { subject in
        guard let custom = subject.op.custom, custom.metal == nil else { return nil }
        return Breach(subject.op.name, "give it a Metal kernel")
    },
    Rule(
        "gpu.index.outside", .note,
        "An index outside its axis is no error on the GPU: MPSGraph was seen to answer 0, Martlet takes the nearest element.",
        .outside
    ) { subject in
        guard subject.op.family == .indexing, subject.op.parameter("indices") != nil, !subject.isConstant("indices")
        else { return nil }
        return Breach(
            "\(subject.op.name) \(subject.shapes)", "check the indices before the model where they may be wrong")
    },
    Rule("gpu.op.nan", .note, "MPSGraph's plain minimum and maximum drop NaN.", .nan) { subject in
        guard ["maximum", "minimum", "reduce_max", "reduce_min"].contains(subject.op.name),
            subject.inputs.contains(where: { $0.dtype.isFloat })
        else { return nil }
        return Breach(subject.op.name, "nothing, unless NaN are wanted: then test for them first")
    },
]
