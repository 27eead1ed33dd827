import MIL

/// What kind of work an operation is: the classes that the selector tells apart and that calibration measures.
public enum OperationType: String, Sendable, Hashable, CaseIterable {
    case matrixMultiplication = "matrix_multiplication"
    case activation
    case convolution
    case elementWise = "element_wise"
    case complexNumber = "complex_number"
    case statisticalDistribution = "statistical_distribution"
    case customKernel = "custom_kernel"
    case distributedOperation = "distributed_operation"

    /// The type of a name such as `matrix_multiplication`, `MatrixMultiplication` or `distributed_op`.
    public init?(name: String) {
        func plain(_ text: String) -> String { text.lowercased().filter { $0 != "_" && $0 != "-" && $0 != " " } }
        let wanted = plain(name)
        guard
            let match = OperationType.allCases.first(where: {
                plain($0.rawValue) == wanted || plain($0.rawValue) == wanted + "eration"
            })
        else { return nil }
        self = match
    }

    /// The type of a row's work. Everything without a class of its own goes element by element.
    public init(of op: Op, _ dtype: DataType) {
        let type = OperationType.byFamily[op.family] ?? .elementWise
        self = dtype.isComplex && type != .statisticalDistribution ? .complexNumber : type
    }

    private static let byFamily: [Op.Family: OperationType] = [
        .linear: .matrixMultiplication, .sequence: .matrixMultiplication, .convolution: .convolution,
        .activation: .activation, .random: .statisticalDistribution, .custom: .customKernel,
    ]

    /// An op that stands for the type where none is named, and that calibration measures.
    public var example: String? {
        switch self {
        case .matrixMultiplication: "matmul"
        case .activation: "relu"
        case .convolution: "conv"
        case .elementWise, .complexNumber: "add"
        case .statisticalDistribution: "random_normal"
        case .customKernel, .distributedOperation: nil
        }
    }
}

/// What an operation is like, as far as choosing a device needs it.
public struct OperationProfile: Sendable {
    public let type: OperationType
    /// The op of the table; nil where only the type is known.
    public let op: String?
    /// The shape that the operation was described with; of a call, that of its largest tensor.
    public let shape: [Int]
    public let dtype: DataType
    /// Floating-point operations of products and convolutions, else elements.
    public let work: Double
    /// Bytes of everything that goes in and comes out, constants left out.
    public let bytes: Int
    /// The operations themselves, for devices to assess; empty where only the type is known.
    public let calls: [Call]

    /// Elements of `shape`.
    public var elements: Int { saturatingProduct(shape) }
    /// Bytes of a tensor of `shape`.
    public var memoryFootprint: Int { saturatingProduct([elements, dtype.size]) }

    /// An operation by the name of its op or type. `shape` is that of x; a product's second operand is then a square
    /// matrix, a convolution's filters keep the channels and cover 3 elements an axis.
    public init(_ name: String, _ shape: [Int], _ dtype: DataType = .float32) throws {
        let x = TensorType(dtype, shape)
        guard dtype != .string else { throw Failure(.wrongType, "A profile is of numbers, not of strings.") }
        _ = try x.checkedByteCount()
        let row = OpTable[name]
        guard let type = row.map({ OperationType(of: $0, dtype) }) ?? OperationType(name: name) else {
            let types = OperationType.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure(
                .invalidArgument,
                "'\(name)' is neither an op of the table nor an operation type; the types are \(types)."
            )
        }
        // A type's example may be of another type for this element type: adding reals is not complex.
        let stands = row ?? type.example.flatMap { OpTable[$0] }
        let example = stands.flatMap { OperationType(of: $0, dtype) == type ? try? Function(example: $0.name, x) : nil }
        let calls = (try? example?.operations.map { try Call($0, in: example ?? Function()) }) ?? []
        let known = calls.first.flatMap { try? OperationProfile($0) }
        self.init(
            type: type, op: row?.name, shape: shape, dtype: dtype, work: known?.work ?? Double(x.count),
            bytes: known?.bytes ?? saturatingProduct([2, x.byteCount]), calls: calls)
    }

    /// One operation of a program.
    public init(_ call: Call) throws {
        let variable = call.operation.inputs.filter { call.function[$0].constant == nil }
        let tensors = (variable + call.operation.outputs).compactMap { call.function[$0].type.tensor }
        let results = try tensors.isEmpty ? call.infer().compactMap(\.tensor) : []
        guard let first = (tensors + results).first else {
            throw Failure(.unsupported, "\(call.place) has no tensors to judge its size by.")
        }
        let largest = (tensors + results).reduce(first) {
            saturatingProduct($1.shape) > saturatingProduct($0.shape) ? $1 : $0
        }
        self.init(
            type: OperationType(of: call.op, (tensors + results).first { $0.dtype.isComplex }?.dtype ?? largest.dtype),
            op: call.op.name, shape: largest.shape, dtype: largest.dtype, work: Work.of(call, largest),
            bytes: tensors.reduce(0) { saturatingSum($0, saturatingProduct($1.shape + [$1.dtype.size])) }, calls: [call]
        )
    }

    /// A whole function: the type whose operations do the most work, with the shape of the largest of them. Casts and
    /// movements count only where nothing else does as much.
    public init(_ function: Function) throws {
        let calls = try function.allOperations.map { try Call($0, in: function) }
        let profiles = calls.compactMap { try? OperationProfile($0) }
        let work = profiles.reduce(into: [OperationType: Double]()) { $0[$1.type, default: 0] += $1.work }
        func weight(_ profile: OperationProfile) -> (Double, Double, Int) {
            (work[profile.type] ?? 0, profile.work, profile.op.map(OperationProfile.carriers.contains) == true ? 0 : 1)
        }
        guard let first = profiles.first else {
            throw Failure(.unsupported, "The function '\(function.name)' has no operations to judge by.")
        }
        let leader = profiles.reduce(first) { weight($1) > weight($0) ? $1 : $0 }
        let ports = Set(function.inputs + function.outputs).compactMap { function[$0].type.tensor }
        self.init(
            type: leader.type, op: leader.op, shape: leader.shape, dtype: leader.dtype,
            work: work[leader.type] ?? leader.work,
            bytes: ports.reduce(0) { saturatingSum($0, saturatingProduct($1.shape + [$1.dtype.size])) }, calls: calls)
    }

    private static let carriers: Set = ["cast", "identity", "reshape", "transpose", "expand_dims", "squeeze"]

    private init(
        type: OperationType, op: String?, shape: [Int], dtype: DataType, work: Double, bytes: Int, calls: [Call]
    ) {
        (self.type, self.op, self.shape, self.dtype) = (type, op, shape, dtype)
        (self.work, self.bytes, self.calls) = (work, bytes, calls)
    }
}

/// How much there is to do: floating-point operations of products, else elements.
private enum Work {
    static func of(_ call: Call, _ largest: TensorType) -> Double {
        (try? products(call)) ?? elements(largest.shape)
    }

    private static func elements(_ shape: [Int]) -> Double { shape.reduce(1) { $0 * Double(max($1, 0)) } }

    private static func products(_ call: Call) throws -> Double? {
        switch call.op.name {
        case "matmul":
            let shape = try MatmulShape(
                call.type("x").shape, call.type("y").shape, transposeX: call.bool("transpose_x"),
                transposeY: call.bool("transpose_y"))
            return 2 * elements(shape.batch) * elements([shape.rows, shape.inner, shape.columns])
        case "linear": return try 2 * elements(call.type("x").shape) * Double(call.type("weight").shape[0])
        case "einsum":
            let equation = try Einsum(call.text("equation"), call.types("values").map(\.shape))
            return 2 * elements(Array(equation.sizes.values))
        case "conv":
            guard let result = try call.infer().first?.tensor else { return nil }
            return try 2 * elements(result.shape) * elements(Array(call.type("weight").shape.dropFirst()))
        case "conv_transpose":
            return try 2 * elements(call.type("x").shape) * elements(Array(call.type("weight").shape.dropFirst()))
        case "scaled_dot_product_attention":
            return try 4 * elements(call.type("query").shape) * Double(call.type("key").shape.dropLast().last ?? 1)
        case "lstm", "gru", "rnn":
            let weights = call.operation.inputs.compactMap { call.function[$0].constant?.count }.reduce(0, +)
            return try 2 * elements(call.type("x").shape.dropLast()) * Double(weights)
        default: return nil
        }
    }
}

extension Function {
    /// A function of one line: an op whose operands all have one type, the second operand of a product or convolution
    /// one that keeps the shape.
    public init(example op: String, _ x: TensorType) throws {
        guard let row = OpTable[op] else { throw Failure(.unsupported, "There is no op '\(op)'.") }
        self.init()
        var arguments: [Argument] = []
        for parameter in row.parameters where !parameter.isOptional {
            guard !parameter.isConstant, !parameter.isList else {
                throw Failure(.unsupported, "'\(op)' needs more than tensors of one type.")
            }
            arguments.append(Argument(parameter.name, [try example(parameter.name, of: row, x)]))
        }
        if op == "conv" { arguments.append(Argument("pad_type", [constant(Tensor("same"), name: "pad_type")])) }
        if op == "random_normal", let mean = Function.zero(x.dtype), let one = Function.one(x.dtype) {
            arguments.append(Argument("mean", [constant(mean, name: "mean")]))
            arguments.append(Argument("stddev", [constant(one, name: "stddev")]))
        }
        block.outputs = try append(Operation(op, arguments, outputs: []), name: "result")
    }

    private mutating func example(_ parameter: String, of row: Op, _ x: TensorType) throws -> ValueID {
        switch (row.name, parameter) {
        case ("matmul", "y"), ("linear", "weight"):
            let width = x.shape.last ?? 1
            return input(parameter, .tensor(TensorType(x.dtype, [width, width])))
        case ("conv", "weight"), ("conv_transpose", "weight"):
            guard x.rank >= 3 else { throw Failure(.invalidArgument, "A convolution has channels and spatial axes.") }
            let filters = [x.shape[1], x.shape[1]] + Array(repeating: 3, count: x.rank - 2)
            return input(parameter, .tensor(TensorType(x.dtype, filters)))
        case (_, "shape") where row.family == .random:
            return constant(Tensor(x.shape.map { Int32(clamping: $0) }), name: parameter)
        default: return input(parameter, .tensor(x))
        }
    }

    private static func zero(_ dtype: DataType) -> Tensor? {
        dtype.isFloat ? Tensor([0], dtype: dtype, shape: []) : nil
    }
    private static func one(_ dtype: DataType) -> Tensor? { dtype.isFloat ? Tensor([1], dtype: dtype, shape: []) : nil }
}

/// The product of sizes, at most what an Int holds; sizes not known count as 1.
func saturatingProduct(_ sizes: [Int]) -> Int {
    if sizes.contains(0) { return 0 }
    return sizes.reduce(1) { product, size in
        let (result, overflow) = product.multipliedReportingOverflow(by: max(size, 1))
        return overflow ? .max : result
    }
}

func saturatingSum(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
}
