import MIL

/// Brings operations of old opsets to the one form inside, the newest. Most ops only gained parameters whose default is the
/// old behaviour; the table lists the others.
enum Upgrade {
    static func apply(to function: inout Function) throws {
        try apply(to: &function.block, in: function, rank: Opset.rank(function.opset) ?? 0)
    }

    private static func apply(to block: inout Block, in function: Function, rank: Int) throws {
        for index in block.operations.indices {
            sortArguments(&block.operations[index])
            for nested in block.operations[index].blocks.indices {
                try apply(to: &block.operations[index].blocks[nested], in: function, rank: rank)
            }
        }
    }

    /// Files keep arguments in no particular order; inside they stand as the row lists them.
    private static func sortArguments(_ operation: inout Operation) {
        guard operation.arguments.count > 1, let op = OpTable[operation.op] else { return }
        let order = operation.arguments.map { argument in
            op.parameters.firstIndex { $0.name == argument.name } ?? op.parameters.count
        }
        let sorted = order.indices.sorted { (order[$0], $0) < (order[$1], $1) }
        if sorted != Array(order.indices) { operation.arguments = sorted.map { operation.arguments[$0] } }
    }
}
