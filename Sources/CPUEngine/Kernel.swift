import MIL

/// A row of the CPU engine's column: how one op becomes steps.
struct Kernel: Sendable {
    let name: String
    /// `index` is the operation's place in the function.
    let lower: @Sendable (_ call: Call, _ lowerer: Lowerer, _ index: Int) throws -> Void
}

/// The CPU engine's column of the op table.
enum CPUKernels {
    static let rows: [Kernel] =
        elementwise + linear + convolution + normalization + reduction + sequence + shape + indexing + image
        + random + compression

    private static let byName = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0) })

    static subscript(_ name: String) -> Kernel? { byName[name] ?? OpTable[name].flatMap { self[$0] } }

    static subscript(_ op: Op) -> Kernel? { op.custom == nil ? byName[op.name] : op.custom?.run.map(custom) }
}
