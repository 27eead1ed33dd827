// Elementwise ops: one result element for each broadcast position.

extension OpTable {
    static let elementwiseOps: [Op] =
        arithmeticOps + comparisonOps + logicalOps + bitOps + choiceOps + functionOps + classOps

    private static let arithmeticOps: [Op] = [
        binary("add", "x + y", .numbersAndComplex),
        binary("sub", "x - y", .numbersAndComplex),
        binary("mul", "x · y", .numbersAndComplex),
        binary("real_div", "x / y; of integers ⌊x / y⌋", .numbersAndComplex),
        beyond(binary("divide", "x / y in floating point, also of integers", .floatsAndComplex), division),
        binary("floor_div", "⌊x / y⌋"),
        binary("mod", "x - y · ⌊x / y⌋, with the sign of y"),
        binary("pow", "x to the power y", .numbersAndComplex),
        binary("maximum", "the larger of x and y"),
        binary("minimum", "the smaller of x and y"),
        beyond(binary("atan2", "the angle of the point (y, x): arc tangent of x / y in its quadrant", .floats)),
        beyond(binary("hypot", "√(x² + y²)", .floats), hypot),
        beyond(binary("copysign", "|x| with the sign of y", .floats)),
        beyond(binary("next_after", "the number next to x on the way to y", [.float32, .float64])),
        beyond(binary("log_add_exp", "ln(e^x + e^y)", .floats), logAddExp),
    ]

    private static let comparisonOps: [Op] = [
        comparison("equal", "x = y", .all),
        comparison("not_equal", "x ≠ y", .all),
        comparison("less", "x < y"),
        comparison("less_equal", "x ≤ y"),
        comparison("greater", "x > y"),
        comparison("greater_equal", "x ≥ y"),
    ]

    private static let logicalOps: [Op] = [
        binary("logical_and", "x and y", [.bool]),
        binary("logical_or", "x or y", [.bool]),
        binary("logical_xor", "x or y, not both", [.bool]),
        unary("logical_not", "not x", [.bool]),
    ]

    private static let bitOps: [Op] = [
        beyond(binary("bitwise_and", "the bits set in x and in y", .bits), truth("logical_and")),
        beyond(binary("bitwise_or", "the bits set in x or in y", .bits), truth("logical_or")),
        beyond(binary("bitwise_xor", "the bits set in one of x and y only", .bits), truth("logical_xor")),
        beyond(unary("bitwise_not", "the bits not set in x", .bits), truth("logical_not")),
        beyond(binary("shift_left", "x · 2^y; 0 where y is the width or more", .integers)),
        beyond(binary("shift_right", "⌊x / 2^y⌋", .integers)),
    ]

    private static let choiceOps: [Op] = [
        Op(
            "select", .elementwise, "a where cond is true, else b",
            [
                .tensor("cond", "the choice", [.bool]), .tensor("a", "taken where true", .all),
                .tensor("b", "taken where false", .all),
            ],
            shared: ["a", "b"]
        ) { call in
            let a = try call.type("a")
            let both = try sameTypeShape(call, "a", "b")
            return [TensorType(a.dtype, try broadcast(both, call.type("cond").shape))]
        },
        Op(
            "cast", .elementwise,
            "x in another element type; floating-point numbers are cut towards zero, integers wrap around",
            [.tensor("x", "the values", .all), .text("dtype", "the element type to become, such as `fp16`")]
        ) { call in
            let (name, x) = (try call.text("dtype"), try call.type("x"))
            guard let dtype = DataType(name: name), dtype != .string else {
                throw Failure(.wrongType, "There is no element type '\(name)' to cast to.")
            }
            guard !x.dtype.isComplex || dtype.isComplex || dtype == .bool else {
                throw Failure(
                    .wrongType, "x is \(x.dtype.name), which \(name) cannot hold; take its real part first, or its abs."
                )
            }
            return [TensorType(dtype, x.shape)]
        },
        unary("identity", "x itself", .all),
        unary(
            "threshold", "the larger of x and alpha", .numbers,
            [.constant("alpha", "the floor", .numbers, default: Tensor(Float(1)))]),
        unary(
            "clip", "x held between alpha and beta", .numbers,
            [.constant("alpha", "the lower bound", .numbers), .constant("beta", "the upper bound", .numbers)]),
    ]

    private static let functionOps: [Op] = [
        Op(
            "abs", .elementwise, "|x|, which is real",
            [.tensor("x", "the values", .numbersAndComplex)]
        ) { call in
            let x = try call.type("x")
            return [TensorType(x.dtype.real, x.shape)]
        },
        unary("acos", "arc cosine", .floatsAndComplex), unary("asin", "arc sine", .floatsAndComplex),
        unary("atan", "arc tangent", .floatsAndComplex),
        unary("atanh", "inverse hyperbolic tangent", .floatsAndComplex),
        beyond(unary("acosh", "inverse hyperbolic cosine", .floatsAndComplex), acosh),
        beyond(unary("asinh", "inverse hyperbolic sine", .floatsAndComplex), asinh),
        unary("ceil", "⌈x⌉", .numbers), unary("floor", "⌊x⌋", .numbers),
        unary("round", "x to the nearest integer, half to even", .numbersAndComplex),
        beyond(unary("trunc", "x cut towards zero", .numbers), trunc),
        unary("cos", "cosine", .floatsAndComplex), unary("cosh", "hyperbolic cosine", .floatsAndComplex),
        unary("sin", "sine", .floatsAndComplex), unary("sinh", "hyperbolic sine", .floatsAndComplex),
        unary("tan", "tangent", .floatsAndComplex), unary("tanh", "hyperbolic tangent", .floatsAndComplex),
        unary("erf", "the error function"),
        unary("exp", "e to the power x", .floatsAndComplex), unary("exp2", "2 to the power x", .numbers),
        beyond(unary("expm1", "e^x - 1, exact also near 0", .floatsAndComplex), expm1),
        unary("log", "natural logarithm of x + epsilon", .floatsAndComplex, [epsilon(0x1p-149)]),
        beyond(unary("log1p", "ln(1 + x), exact also near 0", .floatsAndComplex), log1p),
        beyond(unary("log2", "logarithm to the base 2", .floatsAndComplex), logarithm(1.4426950408889634)),
        beyond(unary("log10", "logarithm to the base 10", .floatsAndComplex), logarithm(0.4342944819032518)),
        beyond(unary("negative", "-x", .numbersAndComplex), negative),
        unary("sign", "-1, 0 or 1; of complex numbers x / |x|", .numbersAndComplex),
        unary("sqrt", "square root", .floatsAndComplex), unary("square", "x²", .numbersAndComplex),
        unary("inverse", "1 / (x + epsilon)", .floatsAndComplex, [epsilon(1e-4)]),
        unary("rsqrt", "1 / √(x + epsilon)", .floats, [epsilon(1e-12)]),
    ]

    private static let classOps: [Op] = [
        beyond(question("is_nan", "whether x is NaN", .numbersAndComplex), isNaN),
        beyond(question("is_inf", "whether x is infinite", .numbersAndComplex), againstInfinity("equal")),
        beyond(question("is_finite", "whether x is a finite number", .numbersAndComplex), againstInfinity("less")),
        beyond(question("sign_bit", "whether x has a minus sign, as -0 has", .floats)),
    ]

    // MARK: Rows

    private static func binary(_ name: String, _ words: String, _ dtypes: Set<DataType> = .numbers) -> Op {
        Op(
            name, .elementwise, words,
            [.tensor("x", "first operand", dtypes), .tensor("y", "second operand", dtypes)], shared: ["x", "y"]
        ) { call in
            [TensorType(try call.type("x").dtype, try sameTypeShape(call, "x", "y"))]
        }
    }

    private static func comparison(
        _ name: String, _ words: String, _ dtypes: Set<DataType> = .numbers.union([.bool])
    ) -> Op {
        Op(
            name, .elementwise, words,
            [.tensor("x", "first operand", dtypes), .tensor("y", "second operand", dtypes)], shared: ["x", "y"]
        ) {
            [TensorType(.bool, try sameTypeShape($0, "x", "y"))]
        }
    }

    private static func unary(
        _ name: String, _ words: String, _ dtypes: Set<DataType> = .floats, _ more: [Op.Parameter] = []
    ) -> Op {
        Op(name, .elementwise, words, [.tensor("x", "the values", dtypes)] + more) { [try $0.type("x")] }
    }

    private static func question(_ name: String, _ words: String, _ dtypes: Set<DataType>) -> Op {
        Op(name, .elementwise, words, [.tensor("x", "the values", dtypes)]) {
            [TensorType(.bool, try $0.type("x").shape)]
        }
    }

    private static func epsilon(_ value: Float) -> Op.Parameter { .float("epsilon", "added to x", default: value) }

    /// A row that Core ML lacks, with how its ops say it.
    private static func beyond(_ op: Op, _ expansion: Op.Expansion? = nil) -> Op {
        Op(
            op.name, op.family, op.words, op.parameters, shared: op.shared, expansion: expansion, isCoreML: false,
            infer: op.infer)
    }

    private static func sameTypeShape(_ call: Call, _ first: String, _ second: String) throws -> [Int] {
        let (x, y) = (try call.type(first), try call.type(second))
        guard x.dtype == y.dtype else {
            throw Failure(
                .wrongType,
                "\(first) is \(x.dtype.name) and \(second) is \(y.dtype.name); both must be of one type.")
        }
        return try broadcast(x.shape, y.shape)
    }
}

// MARK: What Core ML lacks, said with its ops

extension OpTable {
    /// Operations on one value in its own type, for short expansions.
    private struct Draft {
        var function: Function
        let name: String
        let dtype: DataType

        init(_ call: Call, _ function: Function) throws {
            (self.function, name) = (function, call.name)
            dtype = try call.type("x").dtype
        }

        mutating func number(_ value: Double) -> ValueID { function.number(value, as: dtype, name: "\(name)_number") }
        mutating func unary(_ op: String, _ x: ValueID) throws -> ValueID {
            try function.one(op, name: "\(name)_\(op)", ["x": [x]])
        }
        mutating func binary(_ op: String, _ x: ValueID, _ y: ValueID) throws -> ValueID {
            try function.one(op, name: "\(name)_\(op)", ["x": [x], "y": [y]])
        }
        mutating func log(_ x: ValueID, plus epsilon: Double = 0) throws -> ValueID {
            let epsilon = number(epsilon)
            return try function.one("log", name: "\(name)_log", ["x": [x], "epsilon": [epsilon]])
        }
        mutating func choose(_ condition: ValueID, _ a: ValueID, else b: ValueID) throws -> ValueID {
            try function.one("select", name: "\(name)_select", ["cond": [condition], "a": [a], "b": [b]])
        }
        /// b, and where x is infinite a.
        mutating func infinite(_ x: ValueID, _ a: ValueID, else b: ValueID) throws -> ValueID {
            let isInfinite = try binary("equal", unary("abs", x), number(.infinity))
            return try choose(isInfinite, a, else: b)
        }
        /// ln(1 + x). What rounding 1 + x to u loses is made good: ln(u) · x / (u - 1).
        mutating func logOfOnePlus(_ x: ValueID) throws -> ValueID {
            let u = try binary("add", x, number(1))
            let ratio = try binary("real_div", x, binary("sub", u, number(1)))
            let product = try binary("mul", log(u), ratio)
            let small = try choose(binary("equal", u, number(1)), x, else: product)
            return try choose(binary("equal", x, number(.infinity)), x, else: small)
        }
    }

    private static func drafted(
        _ body: @escaping @Sendable (Call, inout Draft) throws -> ValueID
    ) -> Op.Expansion {
        { call, function in
            var draft = try Draft(call, function)
            let result = try body(call, &draft)
            function = draft.function
            return [result]
        }
    }

    private static let division = drafted { call, draft in
        try draft.binary("real_div", call.id("x"), call.id("y"))
    }

    /// The larger side times √(1 + (smaller / larger)²), which does not overflow.
    private static let hypot = drafted { call, draft in
        let (x, y) = (try draft.unary("abs", call.id("x")), try draft.unary("abs", call.id("y")))
        let larger = try draft.binary("maximum", x, y)
        let isZero = try draft.binary("equal", larger, draft.number(0))
        let divisor = try draft.choose(isZero, draft.number(1), else: larger)
        let ratio = try draft.unary("square", draft.binary("real_div", draft.binary("minimum", x, y), divisor))
        let root = try draft.unary("sqrt", draft.binary("add", ratio, draft.number(1)))
        let length = try draft.binary("mul", larger, root)
        return try draft.infinite(x, x, else: draft.infinite(y, y, else: length))
    }

    private static let logAddExp = drafted { call, draft in
        let larger = try draft.binary("maximum", call.id("x"), call.id("y"))
        let difference = try draft.binary("sub", call.id("x"), call.id("y"))
        let distance = try draft.binary("sub", draft.number(0), draft.unary("abs", difference))
        let sum = try draft.binary("add", larger, draft.unary("softplus", distance))
        // The distance of equal infinities is NaN.
        let twice = try draft.binary("add", call.id("x"), draft.number(0.6931471805599453))
        return try draft.choose(draft.binary("equal", call.id("x"), call.id("y")), twice, else: sum)
    }

    /// ln(1 + t + √t · √(t + 2)) with t = x - 1.
    private static let acosh = drafted { call, draft in
        let t = try draft.binary("sub", call.id("x"), draft.number(1))
        let root = try draft.unary("sqrt", draft.binary("add", t, draft.number(2)))
        return try draft.logOfOnePlus(draft.binary("add", t, draft.binary("mul", draft.unary("sqrt", t), root)))
    }

    /// ln(1 + a + a / (1/a + √(1 + 1/a²))) with the sign of x, where a = |x|.
    private static let asinh = drafted { call, draft in
        let x = try call.id("x")
        let a = try draft.unary("abs", x)
        let inverse = try draft.binary("real_div", draft.number(1), a)
        let root = try draft.unary("sqrt", draft.binary("add", draft.unary("square", inverse), draft.number(1)))
        let rest = try draft.binary("real_div", a, draft.binary("add", inverse, root))
        return try draft.binary("mul", draft.unary("sign", x), draft.logOfOnePlus(draft.binary("add", a, rest)))
    }

    private static let trunc = drafted { call, draft in
        let x = try call.id("x")
        return try draft.binary("mul", draft.unary("sign", x), draft.unary("floor", draft.unary("abs", x)))
    }

    /// What rounding e^x to u loses is made good: (u - 1) · x / ln(u).
    private static let expm1 = drafted { call, draft in
        let x = try call.id("x")
        let u = try draft.unary("exp", x)
        let less = try draft.binary("sub", u, draft.number(1))
        let product = try draft.binary("mul", less, draft.binary("real_div", x, draft.log(u)))
        let isSmall = try draft.binary("equal", less, draft.number(-1))
        let below = try draft.choose(isSmall, less, else: product)
        let small = try draft.choose(draft.binary("equal", u, draft.number(1)), x, else: below)
        return try draft.infinite(u, u, else: small)
    }

    private static let log1p = drafted { call, draft in try draft.logOfOnePlus(call.id("x")) }

    private static func logarithm(_ factor: Double) -> Op.Expansion {
        drafted { call, draft in try draft.binary("mul", draft.log(call.id("x")), draft.number(factor)) }
    }

    private static let negative = drafted { call, draft in try draft.binary("sub", draft.number(0), call.id("x")) }

    private static let isNaN = drafted { call, draft in try draft.binary("not_equal", call.id("x"), call.id("x")) }

    private static func againstInfinity(_ comparison: String) -> Op.Expansion {
        drafted { call, draft in
            guard draft.dtype.isFloat else {
                throw Failure(.unsupported, "Core ML's ops ask this of floating-point numbers only.")
            }
            return try draft.binary(comparison, draft.unary("abs", call.id("x")), draft.number(.infinity))
        }
    }

    /// The bit of a boolean is the boolean itself.
    private static func truth(_ op: String) -> Op.Expansion {
        { call, function in
            guard try call.type("x").dtype == .bool else {
                throw Failure(.unsupported, "Core ML has no op for the bits of integers.")
            }
            return [try function.one(Operation(op, call.operation.arguments, outputs: []), name: "\(call.name)_\(op)")]
        }
    }
}
