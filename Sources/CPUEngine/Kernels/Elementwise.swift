import CKernels
import MIL

// Elementwise ops: each is a few instructions of a tape. Neighbours run together as one tape.

extension CPUKernels {
    static let elementwise: [Kernel] = Set(Tape.cells.keys).union(TypedLoop.cells.keys).sorted().map {
        Kernel(name: $0, lower: lowerElementwise)
    }

    @Sendable private static func lowerElementwise(_ call: Call, _ lowerer: Lowerer, _ index: Int) throws {
        if TypedLoop.wants(call.operation, in: call.function) {
            try TypedLoop.lower(call, lowerer)
        } else {
            try lowerGroup(call, lowerer, index)
        }
    }

    private static func lowerGroup(_ call: Call, _ lowerer: Lowerer, _ index: Int) throws {
        let id = call.operation.outputs[0]
        let members = lowerer.groups.members[index] ?? [index]
        let type = try call.function.tensorType(id)
        var tape = Tape(shape: type.shape, lowerer: lowerer)
        for member in members { try tape.append(Call(call.function.operations[member], in: call.function)) }
        // The result lies as its largest operand does, so that both are walked from end to end.
        let model = tape.leaves.filter { view in !zip(view.strides, view.shape).contains { $0 == 0 && $1 != 1 } }
        let order = lowerer.wantedOrder(of: id) ?? model.first?.memoryOrder
        let output = lowerer.allocate(type.shape, type.dtype, order: order)
        lowerer.define(id, output)
        guard type.count > 0 else { return }
        let prepared = try tape.finished(output: output, register: id)
        lowerer.emit(
            call, kernel: "tape",
            reason: members.count == 1 ? "elementwise" : "\(members.count) elementwise operations fused",
            covering: members.map { call.function.operations[$0].op }, reads: tape.leaves, writes: [output],
            inPlace: inPlace(output, among: tape.leaves)
        ) { prepared.run($0) }
    }
}

extension Tape {
    static let cells: [String: Cell] = [
        "add": binary(MK_ADD_F, MK_ADD_I),
        "sub": binary(MK_SUB_F, MK_SUB_I),
        "mul": binary(MK_MUL_F, MK_MUL_I),
        "real_div": binary(MK_REAL_DIV_F, MK_FLOOR_DIV_I),
        "floor_div": binary(MK_FLOOR_DIV_F, MK_FLOOR_DIV_I),
        "mod": binary(MK_MOD_F, MK_MOD_I),
        "pow": { tape, call in try tape.emit(MK_POW_F, tape.operand(call, "x"), tape.operand(call, "y")) },
        "maximum": binary(MK_MAXIMUM_F, MK_MAXIMUM_I),
        "minimum": binary(MK_MINIMUM_F, MK_MINIMUM_I),
        "equal": binary(MK_EQUAL_F, MK_EQUAL_I),
        "not_equal": binary(MK_NOT_EQUAL_F, MK_NOT_EQUAL_I),
        "less": binary(MK_LESS_F, MK_LESS_I),
        "less_equal": binary(MK_LESS_EQUAL_F, MK_LESS_EQUAL_I),
        "greater": binary(MK_GREATER_F, MK_GREATER_I),
        "greater_equal": binary(MK_GREATER_EQUAL_F, MK_GREATER_EQUAL_I),
        "logical_and": binary(MK_LOGICAL_AND, MK_LOGICAL_AND),
        "logical_or": binary(MK_LOGICAL_OR, MK_LOGICAL_OR),
        "logical_xor": binary(MK_LOGICAL_XOR, MK_LOGICAL_XOR),
        "logical_not": unary(MK_LOGICAL_NOT, MK_LOGICAL_NOT),
        "select": { tape, call in
            let (condition, a, b) = (
                try tape.operand(call, "cond"), try tape.operand(call, "a"), try tape.operand(call, "b")
            )
            return try tape.emit(MK_SELECT, condition, a, b)
        },
        "cast": { tape, call in
            let x = try tape.operand(call, "x")
            let (from, to) = (try call.type("x").dtype, try call.function.tensorType(call.operation.outputs[0]).dtype)
            switch (from.isWhole, to.isWhole) {
            case (true, true): return to == .bool && from != .bool ? try tape.emit(MK_BOOL_FROM_I, x) : x
            case (true, false): return try tape.emit(MK_F_FROM_I, x)
            case (false, true): return try tape.whole(x, as: to)
            case (false, false): return x
            }
        },
        "identity": { tape, call in try tape.operand(call, "x") },
        "abs": unary(MK_ABS_F, MK_ABS_I), "negative": unary(MK_NEG_F, MK_NEG_I),
        "sign": unary(MK_SIGN_F, MK_SIGN_I),
        "square": unary(MK_SQUARE_F, MK_SQUARE_I),
        "acos": unary(MK_ACOS_F), "asin": unary(MK_ASIN_F), "atan": unary(MK_ATAN_F), "atanh": unary(MK_ATANH_F),
        "ceil": unary(MK_CEIL_F, MK_COPY), "cos": unary(MK_COS_F), "cosh": unary(MK_COSH_F), "erf": unary(MK_ERF_F),
        "exp": unary(MK_EXP_F), "exp2": unary(MK_EXP2_F), "floor": unary(MK_FLOOR_F, MK_COPY),
        "round": unary(MK_ROUND_F, MK_COPY),
        "sin": unary(MK_SIN_F), "sinh": unary(MK_SINH_F), "sqrt": unary(MK_SQRT_F), "tan": unary(MK_TAN_F),
        "tanh": unary(MK_TANH_F),
        "log": unary(MK_LOG_F, p: "epsilon"), "inverse": unary(MK_INVERSE_F, p: "epsilon"),
        "rsqrt": unary(MK_RSQRT_F, p: "epsilon"),
        "threshold": unary(MK_THRESHOLD_F, p: "alpha"), "clip": unary(MK_CLIP_F, p: "alpha", q: "beta"),
        "relu": { tape, call in
            let x = try tape.operand(call, "x")
            let isWhole = try call.type("x").dtype.isWhole
            return try tape.emit(isWhole ? MK_CLIP_I : MK_RELU_F, x, p: 0, q: .infinity)
        },
        "sigmoid": unary(MK_SIGMOID_F), "silu": unary(MK_SILU_F),
        "softplus": unary(MK_SOFTPLUS_F), "softsign": unary(MK_SOFTSIGN_F),
        "relu6": { tape, call in try tape.emit(MK_CLIP_F, tape.operand(call, "x"), p: 0, q: 6) },
        "leaky_relu": unary(MK_LEAKY_RELU_F, p: "alpha"), "elu": unary(MK_ELU_F, p: "alpha"),
        "thresholded_relu": unary(MK_THRESHOLDED_RELU_F, p: "alpha"),
        "clamped_relu": unary(MK_CLAMPED_RELU_F, p: "alpha", q: "beta"),
        "linear_activation": unary(MK_LINEAR_F, p: "alpha", q: "beta"),
        "scaled_tanh": unary(MK_SCALED_TANH_F, p: "alpha", q: "beta"),
        "sigmoid_hard": unary(MK_SIGMOID_HARD_F, p: "alpha", q: "beta"),
        "gelu": { tape, call in
            let x = try tape.operand(call, "x")
            switch try call.text("mode") {
            case "EXACT": return try tape.emit(MK_GELU_F, x)
            case "TANH_APPROXIMATION": return try tape.emit(MK_GELU_TANH_F, x)
            case "SIGMOID_APPROXIMATION": return try tape.emit(MK_GELU_SIGMOID_F, x)
            case let mode:
                throw Failure(
                    .invalidArgument,
                    "There is no gelu mode '\(mode)'; there are EXACT, TANH_APPROXIMATION and SIGMOID_APPROXIMATION.")
            }
        },
        "prelu": { tape, call in
            let (x, alpha) = (try tape.operand(call, "x"), try tape.channels(call.known("alpha")))
            return try tape.emit(MK_PRELU_F, x, alpha)
        },
        "softplus_parametric": { tape, call in
            let x = try tape.operand(call, "x")
            let (alpha, beta) = (try tape.channels(call.known("alpha")), try tape.channels(call.known("beta")))
            return try tape.emit(MK_MUL_F, alpha, tape.emit(MK_SOFTPLUS_F, tape.emit(MK_MUL_F, x, beta)))
        },
        "batch_norm": { tape, call in
            // gamma · (x - mean) / √(variance + epsilon) + beta, with everything constant folded into scale and shift.
            let x = try tape.operand(call, "x")
            if ["mean", "variance", "gamma", "beta"].contains(where: { call.has($0) && call.constant($0) == nil }) {
                let deviation = try tape.emit(MK_SUB_F, x, tape.channels(call, "mean"))
                let scale = try tape.emit(MK_RSQRT_F, tape.channels(call, "variance"), p: call.float("epsilon"))
                var result = try tape.emit(MK_MUL_F, deviation, scale)
                if call.has("gamma") { result = try tape.emit(MK_MUL_F, result, tape.channels(call, "gamma")) }
                return call.has("beta") ? try tape.emit(MK_ADD_F, result, tape.channels(call, "beta")) : result
            }
            let (scale, shift) = try batchNormScaleAndShift(call)
            return try tape.emit(MK_FMA_F, x, tape.channels(scale), tape.channels(shift))
        },
    ]

    private static func unary(_ float: mk_opcode, _ whole: mk_opcode? = nil, p: String? = nil, q: String? = nil) -> Cell
    {
        { tape, call in
            let x = try tape.operand(call, "x")
            guard try !call.type("x").dtype.isWhole else {
                guard let whole else { throw Failure(.bug, "Tapes do not compute this on integers.") }
                return try tape.emit(whole, x)
            }
            func value(_ name: String?) throws -> Float {
                guard let name else { return 0 }
                // Adding -0 leaves every number as it is; 0 would take the sign of a -0.
                let value = try call.float(name)
                return name == "epsilon" && value == 0 ? -0.0 : value
            }
            return try tape.emit(float, x, p: value(p), q: value(q))
        }
    }

    private static func binary(_ float: mk_opcode, _ whole: mk_opcode) -> Cell {
        { tape, call in
            let (x, y) = (try tape.operand(call, "x"), try tape.operand(call, "y"))
            return try tape.emit(call.type("x").dtype.isWhole ? whole : float, x, y)
        }
    }
}

extension Tape {
    /// Floating-point lanes cut towards zero and held within the range of a type.
    fileprivate mutating func whole(_ x: Register, as dtype: DataType) throws -> Register {
        if dtype == .bool { return try emit(MK_BOOL_FROM_F, x) }
        let whole = try emit(MK_I_FROM_F, x)
        switch dtype {
        case .int8: return try emit(MK_CLIP_I, whole, p: -128, q: 127)
        case .uint8: return try emit(MK_CLIP_I, whole, p: 0, q: 255)
        case .int16: return try emit(MK_CLIP_I, whole, p: -32768, q: 32767)
        case .uint16: return try emit(MK_CLIP_I, whole, p: 0, q: 65535)
        default: return whole
        }
    }

    /// A parameter's vector along the channels, constant or computed.
    fileprivate mutating func channels(_ call: Call, _ name: String) throws -> Register {
        try channels(view(of: call.id(name)))
    }
}

/// batch_norm as scale · x + shift for each channel; all of its statistics must be constant.
func batchNormScaleAndShift(_ call: Call) throws -> (scale: Tensor, shift: Tensor) {
    func values(_ name: String, _ count: Int, _ absent: Double) throws -> [Double] {
        guard call.has(name) else { return Array(repeating: absent, count: count) }
        let tensor = try call.known(name)
        return (0..<tensor.count).map { tensor.double(at: $0) }
    }
    let count = try call.type("mean").count
    let (mean, variance) = (try values("mean", count, 0), try values("variance", count, 1))
    let (gamma, beta) = (try values("gamma", count, 1), try values("beta", count, 0))
    let epsilon = Double(try call.float("epsilon"))
    let scale = (0..<count).map { gamma[$0] / (variance[$0] + epsilon).squareRoot() }
    let shift = (0..<count).map { beta[$0] - mean[$0] * scale[$0] }
    return (Tensor(scale, dtype: .float32, shape: [count]), Tensor(shift, dtype: .float32, shape: [count]))
}
