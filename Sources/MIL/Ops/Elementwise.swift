// Elementwise ops: one result element for each broadcast position.

extension OpTable {
    static let elementwiseOps: [Op] =
        [
            binary("add", "x + y"),
            binary("sub", "x - y"),
            binary("mul", "x · y"),
            binary("real_div", "x / y"),
            Op(
                "divide", .elementwise, "x / y in floating point, also of whole numbers",
                [.tensor("x", "first operand", .floats), .tensor("y", "second operand", .floats)],
                expansion: { call, function in
                    let operands = try ["x", "y"].map { Argument($0, [try call.id($0)]) }
                    return try function.append(Operation("real_div", operands, outputs: []), name: call.name)
                }
            ) { [TensorType(try $0.type("x").dtype, try sameTypeShape($0))] },
            binary("floor_div", "⌊x / y⌋"),
            binary("mod", "x - y · ⌊x / y⌋"),
            binary("pow", "x to the power y"),
            binary("maximum", "the larger of x and y"),
            binary("minimum", "the smaller of x and y"),
            comparison("equal", "x = y"),
            comparison("not_equal", "x ≠ y"),
            comparison("less", "x < y"),
            comparison("less_equal", "x ≤ y"),
            comparison("greater", "x > y"),
            comparison("greater_equal", "x ≥ y"),
            logical("logical_and", "x and y"),
            logical("logical_or", "x or y"),
            logical("logical_xor", "x or y, not both"),
            Op("logical_not", .elementwise, "not x", [.tensor("x", "the truth values", [.bool])]) {
                [try $0.type("x")]
            },
            Op(
                "select", .elementwise, "a where cond is true, else b",
                [
                    .tensor("cond", "the choice", [.bool]),
                    .tensor("a", "taken where true", .all),
                    .tensor("b", "taken where false", .all),
                ]
            ) { call in
                let a = try call.type("a")
                let both = try broadcast(a.shape, call.type("b").shape)
                return [TensorType(a.dtype, try broadcast(both, call.type("cond").shape))]
            },
            Op(
                "cast", .elementwise, "x in another element type; floating-point numbers are cut towards zero",
                [.tensor("x", "the values", .all), .text("dtype", "the element type to become, such as `fp16`")]
            ) { call in
                let name = try call.text("dtype")
                guard let dtype = DataType(name: name), dtype != .string else {
                    throw Failure(.wrongType, "There is no element type '\(name)' to cast to.")
                }
                return [TensorType(dtype, try call.type("x").shape)]
            },
            unary("abs", "|x|", .numbers), unary("acos", "arc cosine"), unary("asin", "arc sine"),
            unary("atan", "arc tangent"), unary("atanh", "inverse hyperbolic tangent"), unary("ceil", "⌈x⌉"),
            unary("cos", "cosine"), unary("cosh", "hyperbolic cosine"), unary("erf", "the error function"),
            unary("exp", "e to the power x"), unary("exp2", "2 to the power x", .numbers), unary("floor", "⌊x⌋"),
            unary("identity", "x itself", .all), unary("round", "x to the nearest whole number, half to even"),
            unary("sign", "-1, 0 or 1", .numbers), unary("sin", "sine"), unary("sinh", "hyperbolic sine"),
            unary("sqrt", "square root"), unary("square", "x²", .numbers), unary("tan", "tangent"),
            unary("tanh", "hyperbolic tangent"),
            unary("log", "natural logarithm of x + epsilon", [.float("epsilon", "added to x", default: 0x1p-149)]),
            unary("inverse", "1 / (x + epsilon)", [.float("epsilon", "added to x", default: 1e-4)]),
            unary("rsqrt", "1 / √(x + epsilon)", [.float("epsilon", "added to x", default: 1e-12)]),
            unary(
                "threshold", "the larger of x and alpha", .numbers,
                [.constant("alpha", "the floor", .numbers, default: Tensor(Float(1)))]),
            Op(
                "clip", .elementwise, "x held between alpha and beta",
                [
                    .tensor("x", "the values"), .constant("alpha", "the lower bound", .numbers),
                    .constant("beta", "the upper bound", .numbers),
                ]
            ) { [try $0.type("x")] },
        ]

    private static func binary(_ name: String, _ words: String) -> Op {
        Op(name, .elementwise, words, [.tensor("x", "first operand"), .tensor("y", "second operand")]) { call in
            let x = try call.type("x")
            return [TensorType(x.dtype, try sameTypeShape(call))]
        }
    }

    private static func comparison(_ name: String, _ words: String) -> Op {
        let operands = Set<DataType>.all
        return Op(
            name, .elementwise, words,
            [.tensor("x", "first operand", operands), .tensor("y", "second operand", operands)]
        ) {
            [TensorType(.bool, try sameTypeShape($0))]
        }
    }

    private static func logical(_ name: String, _ words: String) -> Op {
        Op(
            name, .elementwise, words,
            [.tensor("x", "first operand", [.bool]), .tensor("y", "second operand", [.bool])]
        ) {
            [TensorType(.bool, try sameTypeShape($0))]
        }
    }

    private static func sameTypeShape(_ call: Call) throws -> [Int] {
        let (x, y) = (try call.type("x"), try call.type("y"))
        guard x.dtype == y.dtype else {
            throw Failure(.wrongType, "x is \(x.dtype.name) and y is \(y.dtype.name); both must be of one type.")
        }
        return try broadcast(x.shape, y.shape)
    }

    private static func unary(
        _ name: String, _ words: String, _ dtypes: Set<DataType> = .floats, _ more: [Op.Parameter] = []
    ) -> Op {
        Op(name, .elementwise, words, [.tensor("x", "the values", dtypes)] + more) { [try $0.type("x")] }
    }

    private static func unary(_ name: String, _ words: String, _ more: [Op.Parameter]) -> Op {
        unary(name, words, .floats, more)
    }
}
