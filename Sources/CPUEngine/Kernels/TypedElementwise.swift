import CKernels
import MIL

// Elementwise ops on the element types that tapes lack, and those that tapes lack altogether: one typed loop each.

/// An elementwise operation as a typed loop: what to run, on which operands.
struct TypedLoop {
    /// How one op finds its loop and its operands.
    typealias Cell = @Sendable (Call, Lowerer) throws -> TypedLoop

    let loop: mk_typed_loop
    let operands: [View]
    /// What one element costs, an addition being 1.
    let work: Int32

    /// Whether an operation has to be a typed loop: tapes lack the op, a type or a rank, or would compute in fp32 what is
    /// whole.
    static func wants(_ operation: Operation, in function: Function) -> Bool {
        guard cells[operation.op] != nil else { return false }
        guard Tape.cells[operation.op] != nil, let op = OpTable[operation.op] else { return true }
        let operands = operation.arguments.filter { op.parameter($0.name)?.isConstant == false }.flatMap(\.values)
        let types = (operands + operation.outputs).compactMap { function[$0].type.tensor }
        return types.contains { !$0.dtype.hasLanes || $0.rank > MK_TAPE_RANK }
            || (exact.contains(operation.op) && types.contains(where: \.dtype.isInteger))
    }

    private static let exact: Set<String> = ["pow", "exp2", "clip", "threshold"]

    static func lower(_ call: Call, _ lowerer: Lowerer) throws {
        guard let cell = cells[call.op.name] else { throw Failure(.bug, "'\(call.op.name)' has no typed loop.") }
        let id = call.operation.outputs[0]
        let type = try call.function.tensorType(id)
        let typed = try cell(call, lowerer)
        let operands = typed.operands.map { $0.broadcast(to: type.shape) }
        // The result lies as its largest operand does, so that both are walked from end to end.
        let model = operands.first { view in !zip(view.strides, view.shape).contains { $0 == 0 && $1 != 1 } }
        let output = lowerer.allocate(
            type.shape, type.dtype, order: lowerer.wantedOrder(of: id) ?? model?.memoryOrder)
        lowerer.define(id, output)
        guard type.count > 0 else { return }
        let prepared = try PreparedLoop(typed, operands: operands, output: output)
        let wide = (operands + [output]).first { !$0.dtype.hasLanes }
        lowerer.emit(
            call, kernel: "typed loop",
            reason: wide.map { "elementwise on \($0.dtype.name)" } ?? "elementwise in its own element type",
            reads: operands, writes: [output], inPlace: inPlace(output, among: operands)
        ) { prepared.run($0) }
    }
}

/// The operands whose memory a result may take: each lies in its buffer in one way only.
func inPlace(_ output: View, among operands: [View]) -> [(result: View, operand: View)] {
    operands.filter { view in
        operands.allSatisfy { $0.buffer != view.buffer || ($0.strides == view.strides && $0.offset == view.offset) }
    }.map { (output, $0) }
}

/// A typed loop ready to run, with the memory of its C structure.
final class PreparedLoop: @unchecked Sendable {
    private let typed: UnsafeMutablePointer<mk_typed>
    private let operands: [View]
    private let output: View

    init(_ loop: TypedLoop, operands: [View], output: View) throws {
        self.operands = operands
        self.output = output
        typed = .allocate(capacity: 1)
        typed.initialize(to: mk_typed())
        // Walk in the order of the result's memory, so that it is written from end to end.
        let order = output.memoryOrder
        guard order.count <= MK_TYPED_RANK else {
            throw Failure(
                .unsupported, "A tensor of rank \(order.count) is more than the elementwise kernels take (32).")
        }
        typed.pointee.loop = loop.loop
        typed.pointee.inputs = Int32(operands.count)
        typed.pointee.rank = Int32(order.count)
        typed.pointee.work = loop.work
        typed.fill(\.shape, order.map { Int64(output.shape[$0]) })
        for (index, view) in ([output] + operands).enumerated() {
            typed.fill(\.sizes, at: index, [Int32(view.dtype.size)])
            typed.fill(\.strides, at: index * Int(MK_TYPED_RANK), order.map { Int64(view.strides[$0]) })
        }
        guard mk_typed_collapse(typed) == 0 else { throw Failure(.bug, "A typed loop is outside the kernel's limits.") }
    }

    deinit { typed.deallocate() }

    func run(_ frame: Frame) {
        withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: Int(MK_TYPED_INPUTS)) { inputs in
            for index in operands.indices { inputs[index] = UnsafeRawPointer(frame[operands[index]]) }
            mk_typed_run(typed, frame[output], inputs.baseAddress)
        }
    }
}

extension UnsafeMutablePointer {
    /// Sets elements of a C array within a structure.
    func fill<Field, Values: Sequence>(_ field: WritableKeyPath<Pointee, Field>, at start: Int = 0, _ values: Values)
    where Values.Element: Sendable {
        withUnsafeMutableBytes(of: &pointee[keyPath: field]) { bytes in
            let items = bytes.bindMemory(to: Values.Element.self)
            for (index, value) in values.enumerated() { items[start + index] = value }
        }
    }
}

extension DataType {
    /// Whether tapes take it.
    var hasLanes: Bool { (try? code) != nil }

    /// The typed loops' code of an element type.
    var typedCode: mk_dtype {
        get throws {
            switch self {
            case .uint32: MK_UINT32
            case .int64: MK_INT64
            case .uint64: MK_UINT64
            case .float64: MK_FP64
            case .complex64: MK_COMPLEX64
            case .complex128: MK_COMPLEX128
            default: try code
            }
        }
    }
}

// MARK: The table

extension TypedLoop {
    static let cells: [String: Cell] = [
        "identity": quick(MK_T_IDENTITY, "x"),
        "select": { call, lowerer in
            let operands = try ["cond", "a", "b"].map { try lowerer.view(call.id($0)) }
            return try TypedLoop(MK_T_SELECT, call.type("a").dtype, operands, work: 1)
        },
        "cast": { call, lowerer in
            let (from, to) = (try call.type("x").dtype, try call.function.tensorType(call.operation.outputs[0]).dtype)
            let x = try lowerer.view(call.id("x"))
            // Within the engine fp16 is fp32: what the program casts to fp16 is rounded here, once.
            if from == .float64, to == .float32, try call.text("dtype") == DataType.float16.name {
                return try TypedLoop(MK_T_ROUND_HALF, from, [x], work: 2)
            }
            guard let loop = mk_typed_cast(try from.typedCode, try to.typedCode) else {
                throw Failure(.wrongType, "x is \(from.name), which cannot become \(to.name).")
            }
            return TypedLoop(loop: loop, operands: [x], work: 2)
        },
        "add": quick(MK_T_ADD, "x", "y"), "sub": quick(MK_T_SUB, "x", "y"), "mul": quick(MK_T_MUL, "x", "y"),
        "real_div": quick(MK_T_REAL_DIV, "x", "y"), "maximum": quick(MK_T_MAXIMUM, "x", "y"),
        "minimum": quick(MK_T_MINIMUM, "x", "y"), "copysign": quick(MK_T_COPYSIGN, "x", "y"),
        "floor_div": slow(MK_T_FLOOR_DIV, "x", "y"), "mod": slow(MK_T_MOD, "x", "y"), "pow": slow(MK_T_POW, "x", "y"),
        "atan2": slow(MK_T_ATAN2, "x", "y"), "hypot": slow(MK_T_HYPOT, "x", "y"),
        "next_after": slow(MK_T_NEXT_AFTER, "x", "y"), "log_add_exp": slow(MK_T_LOG_ADD_EXP, "x", "y"),
        "equal": quick(MK_T_EQUAL, "x", "y"), "not_equal": quick(MK_T_NOT_EQUAL, "x", "y"),
        "less": quick(MK_T_LESS, "x", "y"), "less_equal": quick(MK_T_LESS_EQUAL, "x", "y"),
        "greater": quick(MK_T_GREATER, "x", "y"), "greater_equal": quick(MK_T_GREATER_EQUAL, "x", "y"),
        "bitwise_and": quick(MK_T_AND, "x", "y"), "bitwise_or": quick(MK_T_OR, "x", "y"),
        "bitwise_xor": quick(MK_T_XOR, "x", "y"), "bitwise_not": quick(MK_T_NOT, "x"),
        "logical_and": quick(MK_T_AND, "x", "y"), "logical_or": quick(MK_T_OR, "x", "y"),
        "logical_xor": quick(MK_T_XOR, "x", "y"), "logical_not": quick(MK_T_NOT, "x"),
        "shift_left": quick(MK_T_SHIFT_LEFT, "x", "y"), "shift_right": quick(MK_T_SHIFT_RIGHT, "x", "y"),
        "abs": quick(MK_T_ABS, "x"), "negative": quick(MK_T_NEGATIVE, "x"), "sign": quick(MK_T_SIGN, "x"),
        "square": quick(MK_T_SQUARE, "x"), "sqrt": quick(MK_T_SQRT, "x"), "rsqrt": quick(MK_T_RSQRT, "x", "epsilon"),
        "inverse": quick(MK_T_INVERSE, "x", "epsilon"), "ceil": quick(MK_T_CEIL, "x"),
        "floor": quick(MK_T_FLOOR, "x"), "round": quick(MK_T_ROUND, "x"), "trunc": quick(MK_T_TRUNC, "x"),
        "exp": slow(MK_T_EXP, "x"), "exp2": slow(MK_T_EXP2, "x"), "expm1": slow(MK_T_EXPM1, "x"),
        "log": slow(MK_T_LOG, "x", "epsilon"), "log1p": slow(MK_T_LOG1P, "x"), "log2": slow(MK_T_LOG2, "x"),
        "log10": slow(MK_T_LOG10, "x"), "sin": slow(MK_T_SIN, "x"), "cos": slow(MK_T_COS, "x"),
        "tan": slow(MK_T_TAN, "x"), "asin": slow(MK_T_ASIN, "x"), "acos": slow(MK_T_ACOS, "x"),
        "atan": slow(MK_T_ATAN, "x"), "sinh": slow(MK_T_SINH, "x"), "cosh": slow(MK_T_COSH, "x"),
        "tanh": slow(MK_T_TANH, "x"), "asinh": slow(MK_T_ASINH, "x"), "acosh": slow(MK_T_ACOSH, "x"),
        "atanh": slow(MK_T_ATANH, "x"), "erf": slow(MK_T_ERF, "x"), "is_nan": quick(MK_T_IS_NAN, "x"),
        "is_inf": quick(MK_T_IS_INF, "x"), "is_finite": quick(MK_T_IS_FINITE, "x"),
        "sign_bit": quick(MK_T_SIGN_BIT, "x"), "real": quick(MK_T_REAL, "x"), "imag": quick(MK_T_IMAG, "x"),
        "conj": quick(MK_T_CONJ, "x"), "angle": slow(MK_T_ANGLE, "x"), "complex": quick(MK_T_COMPLEX, "x", "y"),
        "clip": quick(MK_T_CLIP, "x", "alpha", "beta"), "threshold": quick(MK_T_THRESHOLD, "x", "alpha"),
        "relu": quick(MK_T_RELU, "x"), "sigmoid": slow(MK_T_SIGMOID, "x"), "silu": slow(MK_T_SILU, "x"),
        "relu6": { call, lowerer in
            let dtype = try call.type("x").dtype
            let bounds = try [0, 6].map { try constant(Tensor(Float($0)), as: dtype, lowerer) }
            return try TypedLoop(MK_T_CLIP, dtype, [lowerer.view(call.id("x"))] + bounds, work: 1)
        },
        "softplus": slow(MK_T_SOFTPLUS, "x"), "softsign": quick(MK_T_SOFTSIGN, "x"),
        "leaky_relu": quick(MK_T_LEAKY_RELU, "x", "alpha"), "elu": slow(MK_T_ELU, "x", "alpha"),
        "thresholded_relu": quick(MK_T_THRESHOLDED_RELU, "x", "alpha"),
        "clamped_relu": quick(MK_T_CLAMPED_RELU, "x", "alpha", "beta"),
        "linear_activation": quick(MK_T_LINEAR, "x", "alpha", "beta"),
        "scaled_tanh": slow(MK_T_SCALED_TANH, "x", "alpha", "beta"),
        "sigmoid_hard": quick(MK_T_SIGMOID_HARD, "x", "alpha", "beta"),
        "prelu": channelwise(MK_T_PRELU, "alpha", work: 1),
        "softplus_parametric": channelwise(MK_T_SOFTPLUS_PARAMETRIC, "alpha", "beta", work: 16),
        "gelu": { call, lowerer in
            let opcode: mk_typed_op
            switch try call.text("mode", among: ["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"]) {
            case "EXACT": opcode = MK_T_GELU
            case "TANH_APPROXIMATION": opcode = MK_T_GELU_TANH
            default: opcode = MK_T_GELU_SIGMOID
            }
            return try TypedLoop(opcode, call.type("x").dtype, [lowerer.view(call.id("x"))], work: 16)
        },
    ]

    private init(_ opcode: mk_typed_op, _ dtype: DataType, _ operands: [View], work: Int32) throws {
        guard let loop = mk_typed_find(opcode, try dtype.typedCode) else {
            throw Failure(.unsupported, "The CPU engine does not compute this in \(dtype.name).")
        }
        self.init(loop: loop, operands: operands, work: work)
    }

    /// A loop over the values of parameters; those that are constants of the op take the type of x.
    private static func quick(_ opcode: mk_typed_op, _ parameters: String..., work: Int32 = 1) -> Cell {
        typed(opcode, parameters, work: work)
    }

    /// One whose elements cost as much as many additions.
    private static func slow(_ opcode: mk_typed_op, _ parameters: String...) -> Cell {
        typed(opcode, parameters, work: 16)
    }

    private static func typed(_ opcode: mk_typed_op, _ parameters: [String], work: Int32) -> Cell {
        { call, lowerer in
            let dtype = try call.type(parameters[0]).dtype
            let operands = try parameters.map { name in
                guard call.op.parameter(name)?.isConstant == true else { return try lowerer.view(call.id(name)) }
                let value = try call.known(name)
                guard value.count == 1 else {
                    throw Failure(.invalidArgument, "The parameter '\(name)' must be one number.")
                }
                return try constant(value.reshaped([]), as: dtype, lowerer, addend: name == "epsilon")
            }
            return try TypedLoop(opcode, dtype, operands, work: work)
        }
    }

    /// A loop with one value a channel (axis 1) for further operands.
    private static func channelwise(_ opcode: mk_typed_op, _ parameters: String..., work: Int32) -> Cell {
        { call, lowerer in
            let x = try call.type("x")
            let vectors = try parameters.map { name in
                try constant(call.known(name), as: x.dtype, lowerer)
                    .inserting(Array(1..<(x.rank - 1)), rank: x.rank - 1)
            }
            return try TypedLoop(opcode, x.dtype, [lowerer.view(call.id("x"))] + vectors, work: work)
        }
    }

    /// A constant in the element type of the values it meets. An addend of 0 becomes -0, which leaves every number as it is.
    private static func constant(
        _ tensor: Tensor, as dtype: DataType, _ lowerer: Lowerer, addend: Bool = false
    ) throws -> View {
        if addend, tensor.double(at: 0) == 0 {
            return lowerer.constant(try converted(Tensor(-0.0), to: dtype))
        }
        return lowerer.constant(try converted(lowerer.widened(tensor), to: dtype))
    }

    private static func converted(_ tensor: Tensor, to dtype: DataType) throws -> Tensor {
        guard tensor.dtype != dtype else { return tensor }
        // A whole bound outside the type's range means the end of the range.
        var tensor = tensor
        if tensor.count == 1, dtype.isInteger, tensor.dtype.isInteger, let value = tensor.int(at: 0) {
            let held = min(max(value, dtype.range.lowerBound), dtype.range.upperBound)
            tensor = Tensor([Int64(held)], shape: tensor.shape)
        }
        guard let loop = mk_typed_cast(try tensor.dtype.typedCode, try dtype.typedCode) else {
            throw Failure(.wrongType, "A constant is \(tensor.dtype.name); it must be \(dtype.name).")
        }
        let result = try Tensor(uninitialized: TensorType(dtype, tensor.shape))
        var input: UnsafeRawPointer? = UnsafeRawPointer(tensor.pointer)
        withExtendedLifetime(tensor) { loop(Int64(tensor.count), result.pointer, &input) }
        return result
    }
}

extension DataType {
    /// The range of an integer type, as far as Int reaches.
    fileprivate var range: ClosedRange<Int> {
        switch self {
        case .int8: Int(Int8.min)...Int(Int8.max)
        case .uint8: 0...Int(UInt8.max)
        case .int16: Int(Int16.min)...Int(Int16.max)
        case .uint16: 0...Int(UInt16.max)
        case .int32: Int(Int32.min)...Int(Int32.max)
        case .uint32: 0...Int(UInt32.max)
        case .uint64: 0...Int.max
        default: Int.min...Int.max
        }
    }
}
