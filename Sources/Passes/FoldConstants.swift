import MIL

extension Function {
    /// Computes what is known before the run: operations on constants, and the shapes of values. `evaluate` runs one
    /// operation; where it cannot, the operation stays.
    public mutating func foldConstants(evaluate: (Call) throws -> [Tensor]) throws {
        var kept: [Operation] = []
        for operation in operations {
            guard let call = try? Call(operation, in: self), operation.blocks.isEmpty, let results = fold(call, evaluate) else {
                kept.append(operation)
                continue
            }
            for (id, tensor) in zip(operation.outputs, results) { self[id].constant = tensor }
        }
        block.operations = kept
    }

    private func fold(_ call: Call, _ evaluate: (Call) throws -> [Tensor]) -> [Tensor]? {
        if call.op.name == "shape", let type = try? call.type("x"), type.isFixed {
            return [Tensor(type.shape.map(Int32.init))]
        }
        guard !call.operation.arguments.isEmpty, call.op.family != .random,
            call.operation.inputs.allSatisfy({ self[$0].constant != nil }),
            let results = try? evaluate(call), results.count == call.operation.outputs.count
        else { return nil }
        let fit = zip(results, call.operation.outputs).allSatisfy { $0.type == self[$1].type.tensor }
        return fit ? results : nil
    }
}
