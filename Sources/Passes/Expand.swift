import MIL

extension Function {
    /// Replaces operations that `isWanted` picks and whose row has an expansion by the simpler operations it consists of.
    public mutating func expand(where isWanted: (Operation, Function) -> Bool) throws {
        guard operations.contains(where: { isWanted($0, self) && OpTable[$0.op]?.expansion != nil }) else { return }
        let pending = operations
        block.operations = []
        var replacement: [ValueID: ValueID] = [:]
        for operation in pending {
            var operation = operation
            for index in operation.arguments.indices {
                operation.arguments[index].values = operation.arguments[index].values.map { replacement[$0] ?? $0 }
            }
            guard isWanted(operation, self), let expansion = OpTable[operation.op]?.expansion else {
                block.operations.append(operation)
                continue
            }
            let results = try expansion(Call(operation, in: self), &self)
            for (old, new) in zip(operation.outputs, results) { replacement[old] = new }
        }
        for (position, id) in outputs.enumerated() {
            guard let new = replacement[id] else { continue }
            self[new].name = self[id].name
            block.outputs[position] = new
        }
        // What an expansion wrote may have one of its own.
        try expand(where: isWanted)
    }
}
