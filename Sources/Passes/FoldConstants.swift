import MIL

extension Function {
    /// Computes what is known before the run: operations on constants, and the shapes of values. `evaluate` runs one
    /// operation; where it cannot, the operation stays.
    public mutating func foldConstants(evaluate: (Call) throws -> [Tensor]) throws {
        var kept: [Operation] = []
        for operation in operations {
            guard let call = try? Call(operation, in: self), operation.blocks.isEmpty,
                let results = fold(call, evaluate)
            else {
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
        guard !call.operation.arguments.isEmpty, call.op.isRepeatable,
            call.operation.inputs.allSatisfy({ self[$0].constant != nil }),
            isWorthKeeping(call), let results = try? evaluate(call), results.count == call.operation.outputs.count
        else { return nil }
        let fit = zip(results, call.operation.outputs).allSatisfy { $0.type == self[$1].type.tensor }
        return fit ? results : nil
    }

    /// A result that is much larger than what it follows from is computed at each run rather than kept.
    private func isWorthKeeping(_ call: Call) -> Bool {
        func bytes(_ ids: [ValueID]) -> Int { ids.compactMap { self[$0].type.tensor?.byteCount }.reduce(0, +) }
        return bytes(call.operation.outputs) <= (1 << 20) + 16 * bytes(call.operation.inputs)
    }
}
