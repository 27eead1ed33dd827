import MIL
import Runtime

/// Where an operation runs: what could run it, what does, and its share of the whole cost.
struct Placement {
    let supported: [Processor]
    let preferred: Processor
    var weight: Double

    /// The operations of a function in the order in which the plan counts them: an operation before those of its blocks.
    static func all(of function: Function, _ units: MLComputeUnits) -> [Placement] {
        let allowed = units.processors
        var placements: [Placement] = []
        func visit(_ block: Block) {
            for operation in block.operations {
                placements.append(Placement(operation, in: function, allowed))
                operation.blocks.forEach(visit)
            }
        }
        visit(function.block)
        let total = placements.reduce(0) { $0 + $1.weight }
        guard total > 0 else { return placements }
        for index in placements.indices { placements[index].weight /= total }
        return placements
    }

    private init(_ operation: MIL.Operation, in function: Function, _ allowed: [Processor]) {
        let runs = Set<Processor>([.cpu, .gpu, .neuralEngine]).filter { $0.runs(operation, in: function) }
        supported = [.cpu, .gpu, .neuralEngine].filter { runs.contains($0) && allowed.contains($0) }
        preferred = allowed.first(where: runs.contains) ?? .cpu
        let elements = operation.outputs.compactMap { function[$0].type.tensor }.map { type in
            type.shape.reduce(1.0) { $0 * Double(max($1, 1)) }
        }
        weight = elements.reduce(1, +)
    }
}

extension Processor {
    /// Ops that no Neural Engine is known to run: they compute what it has no unit for, or move data where it is told to
    /// at run time.
    private static let neverOnNeuralEngine: Set<String> = [
        "lstm", "gru", "rnn", "cond", "while_loop", "non_zero", "non_maximum_suppression", "scatter", "scatter_nd",
        "scatter_along_axis", "gather_nd", "reduce_prod", "argsort", "topk", "cumsum", "random_normal",
        "random_uniform", "random_bernoulli", "random_categorical", "one_hot", "shape", "cast", "classify", "resample",
        "crop_resize", "list_read", "list_write", "make_list",
    ]
    private static let neverOnGPU: Set<String> = ["non_maximum_suppression", "classify", "make_list", "list_read"]

    func runs(_ operation: MIL.Operation, in function: Function) -> Bool {
        switch self {
        case .cpu: true
        case .gpu: !Processor.neverOnGPU.contains(operation.op)
        case .neuralEngine: Processor.fitsNeuralEngine(operation, in: function)
        }
    }

    /// Everything computed is fp16, of rank 5 at most, with known dimensions of at most 16384.
    private static func fitsNeuralEngine(_ operation: MIL.Operation, in function: Function) -> Bool {
        guard !neverOnNeuralEngine.contains(operation.op) else { return false }
        let values = operation.outputs + operation.inputs.filter { function[$0].constant == nil }
        return values.allSatisfy { id in
            guard let type = content(of: function[id].type) else { return false }
            return type.dtype == .float16 && type.rank <= 5 && type.shape.allSatisfy { $0 > 0 && $0 <= 16384 }
        }
    }

    private static func content(of type: ValueType) -> TensorType? {
        if case .state(let content) = type { content } else { type.tensor }
    }
}
