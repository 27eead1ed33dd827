import MIL

/// A row of the CPU engine's column: how one op becomes steps.
struct Kernel: Sendable {
    let name: String
    /// The element types that its tensors may have; fp16 is fp32 by the time a kernel sees it. For others the row's
    /// expansion stands in.
    let dtypes: Set<DataType>
    /// `index` is the operation's place in the function.
    let lower: @Sendable (_ call: Call, _ lowerer: Lowerer, _ index: Int) throws -> Void

    init(
        name: String, dtypes: Set<DataType> = .all,
        lower: @escaping @Sendable (_ call: Call, _ lowerer: Lowerer, _ index: Int) throws -> Void
    ) {
        self.name = name
        self.dtypes = dtypes
        self.lower = lower
    }

    /// The same kernel for some element types only.
    func taking(_ dtypes: Set<DataType>) -> Kernel {
        Kernel(name: name, dtypes: self.dtypes.intersection(dtypes), lower: lower)
    }

    /// Why it does not take the arguments of a call; nil where it takes them.
    func refusal(of call: Call) -> String? {
        for argument in call.operation.arguments where call.op.parameter(argument.name)?.isConstant == false {
            for id in argument.values {
                guard let dtype = call.function[id].type.tensor?.dtype, !dtypes.contains(dtype) else { continue }
                let taken = DataType.allCases.filter(dtypes.contains).map(\.name).joined(separator: ", ")
                return "The parameter '\(argument.name)' is \(dtype.name); the CPU engine computes this in \(taken)."
            }
        }
        return nil
    }
}

/// The CPU engine's column of the op table.
enum CPUKernels {
    static let rows: [Kernel] =
        elementwise + linear + (convolution + normalization + sequence).map { $0.taking(lanes) } + reduction + shape
        + indexing + image + random + compression + fourier

    /// The types that go through lanes of fp32 or int32, which dense and normalizing kernels compute in.
    static let lanes: Set<DataType> = [.float16, .float32, .bool, .int8, .uint8, .int16, .uint16, .int32]

    private static let byName = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0) })

    static subscript(_ name: String) -> Kernel? { byName[name] ?? OpTable[name].flatMap { self[$0] } }

    static subscript(_ op: Op) -> Kernel? { op.custom == nil ? byName[op.name] : op.custom?.run.map(custom) }

    /// Whether a kernel runs this operation as it is.
    static func run(_ operation: Operation, in function: Function) -> Bool {
        guard let kernel = self[operation.op], let call = try? Call(operation, in: function) else { return false }
        return kernel.refusal(of: call) == nil
    }
}
