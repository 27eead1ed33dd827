import MIL

extension Function {
    /// Removes operations whose results are not read, except those that change a state.
    public mutating func removeDead() {
        var read = Set(outputs)
        var kept: [Operation] = []
        for operation in operations.reversed()
        where operation.changesState || operation.outputs.contains(where: read.contains) {
            read.formUnion(operation.inputs)
            for block in operation.blocks { read.formUnion(reads(of: block)) }
            kept.append(operation)
        }
        block.operations = kept.reversed()
    }

    private func reads(of block: Block) -> Set<ValueID> {
        block.operations.reduce(into: Set(block.outputs)) { result, operation in
            result.formUnion(operation.inputs)
            for nested in operation.blocks { result.formUnion(reads(of: nested)) }
        }
    }
}
