#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Elementwise ops. MPSGraph has most functions of floating-point numbers itself. Integers wrap around and are never
    // divided by 0 there, as the result is not documented. Complex numbers go by their parts: see `Complex.swift`.

    extension MetalLowerings {
        static let elementwise: [Lowering] =
            functions + roundings + signs + arithmetic + quotients + comparisons + logic + bits + choices

        private static let functions: [Lowering] = [
            function("acos", MPSGraph.acos(with:name:)), function("asin", MPSGraph.asin(with:name:)),
            function("atan", MPSGraph.atan(with:name:)), function("atanh", MPSGraph.atanh(with:name:)),
            function("acosh", MPSGraph.acosh(with:name:)), function("asinh", MPSGraph.asinh(with:name:)),
            function("cos", MPSGraph.cos(with:name:)), function("cosh", MPSGraph.cosh(with:name:)),
            function("sin", MPSGraph.sin(with:name:)), function("sinh", MPSGraph.sinh(with:name:)),
            function("tan", MPSGraph.tan(with:name:)), function("tanh", MPSGraph.tanh(with:name:)),
            function("erf", MPSGraph.erf(with:name:)), function("exp", MPSGraph.exponent(with:name:)),
            function("sqrt", MPSGraph.squareRoot(with:name:)), function("log2", MPSGraph.logarithmBase2(with:name:)),
            function("log10", MPSGraph.logarithmBase10(with:name:)),
            parted("expm1") { x, _ in x.expm1 },
            parted("log1p") { x, _ in x.log1p },
            parted("log") { x, call in try logarithm(x, plus: call.number("epsilon")) },
            parted("inverse") { x, call in 1 / added(x, try call.number("epsilon")) },
            .formula("rsqrt") { x, call in added(x, try call.number("epsilon")).applying(MPSGraph.reciprocalSquareRoot)
            },
            .formula("exp2", .graphNumbers) { x, _ in
                x.isFloat ? x.applying(MPSGraph.exponentBase2(with:name:)) : x.whole(1).shifted(left: x)
            },
        ]

        private static let roundings: [Lowering] = [
            rounding("ceil", MPSGraph.ceil(with:name:)), rounding("floor", MPSGraph.floor(with:name:)),
            rounding("round", MPSGraph.rint(with:name:)), rounding("trunc", MPSGraph.truncate),
        ]

        private static let signs: [Lowering] = [
            parted("abs", .graphNumbers) { x, _ in
                x.isFloat ? x.magnitude : x.isSigned ? (x < 0).choose(-x, x) : x
            },
            parted("negative", .graphNumbers) { x, _ in -x },
            parted("square", .graphNumbers) { x, _ in x.isFloat ? x.applying(MPSGraph.square(with:name:)) : x * x },
            parted("sign", .graphNumbers) { x, _ in
                if x.isFloat { return x.applying(MPSGraph.sign(with:name:)) }
                let up = (x > 0).cast(to: x.type)
                return x.isSigned ? up - (x < 0).cast(to: x.type) : up
            },
            parted("is_nan", .graph) { x, _ in x.isFloat ? x.isNaN : x != x },
            parted("is_inf", .graph) { x, _ in x.isFloat ? x.isInfinite : x != x },
            parted("is_finite", .graph) { x, _ in x.isFloat ? x.isFinite : x == x },
            Lowering("sign_bit", .graph) { call, builder in [try builder.term("x", call).isMinus.tensor] },
        ]

        private static let arithmetic: [Lowering] = [
            .binary("add", .graphNumbers.union([.complex64])) { $0.addition($1, $2, name: nil) },
            .binary("sub", .graphNumbers.union([.complex64])) { $0.subtraction($1, $2, name: nil) },
            .binary("mul", .graphNumbers.union([.complex64])) { $0.multiplication($1, $2, name: nil) },
            .binary("maximum") { Term($1, $0).larger(Term($2, $0)).tensor },
            .binary("minimum") { Term($1, $0).smaller(Term($2, $0)).tensor },
            .binary("atan2", .graphFloats) { $0.atan2(withPrimaryTensor: $1, secondaryTensor: $2, name: nil) },
            .formulaOfTwo("hypot") { $0.hypot($1) },
            .formulaOfTwo("copysign") { $0.withSign(of: $1) },
            .formulaOfTwo("log_add_exp") { x, y in
                // Equal operands may be infinite, and so have no difference.
                (x == y).choose(x + 0.6931471805599453, x.larger(y) + (-(x - y).magnitude).exp.log1p)
            },
            Lowering("next_after", [.float32]) { call, builder in
                [try builder.term("x", call).next(towards: builder.term("y", call)).tensor]
            },
            Lowering("pow", .graphNumbers.union([.complex64])) { call, builder in
                let (x, y) = (try builder.term("x", call), try builder.term("y", call))
                if x.isFloat { return [x.realPower(y, exponent: call.constant("y")).tensor] }
                if x.isComplex { return [Parts(x).power(Parts(y)).joined.tensor] }
                return [x.power(y, exponent: call.constant("y")).tensor]
            },
        ]

        private static let quotients: [Lowering] = [
            Lowering("real_div", .graphNumbers.union([.complex64])) { call, builder in
                let (x, y) = (try builder.term("x", call), try builder.term("y", call))
                return [(x.isFloat || x.isComplex ? x / y : x.quotient(y)).tensor]
            },
            .formulaOfTwo("floor_div", .graphNumbers) { x, y in
                guard x.isFloat else { return x.quotient(y) }
                let remainder = x.remainder(y)
                let turns = (remainder != 0) && (remainder < 0).xor(y < 0)
                let quotient = (x - remainder) / y
                let whole = turns.choose(quotient - 1, quotient)
                // The quotient without its remainder is whole but for one rounding. Infinities divide as with `/`.
                let answer = (whole == 0).choose(whole.withSign(of: x / y), whole.rint)
                return ((y == 0) || x.isInfinite || y.isInfinite).choose(x / y, answer)
            },
            .formulaOfTwo("mod", .graphNumbers) { x, y in
                guard x.isFloat else { return (y == 0).choose(0, x - x.quotient(y) * y) }
                let remainder = x.remainder(y)
                let turned = (remainder < 0).xor(y < 0).choose(remainder + y, remainder)
                return (remainder == 0).choose(remainder.withSign(of: y), turned)
            },
        ]

        private static let comparisons: [Lowering] = [
            comparison("equal", MPSGraph.equal) { ($0.re == $1.re) && ($0.im == $1.im) },
            comparison("not_equal", MPSGraph.notEqual) { ($0.re != $1.re) || ($0.im != $1.im) },
            comparison("less", MPSGraph.lessThan), comparison("less_equal", MPSGraph.lessThanOrEqualTo),
            comparison("greater", MPSGraph.greaterThan),
            comparison("greater_equal", MPSGraph.greaterThanOrEqualTo),
        ]

        private static let logic: [Lowering] = [
            .binary("logical_and", [.bool]) { $0.logicalAND($1, $2, name: nil) },
            .binary("logical_or", [.bool]) { $0.logicalOR($1, $2, name: nil) },
            .binary("logical_xor", [.bool]) { $0.logicalXOR($1, $2, name: nil) },
            .unary("logical_not", [.bool]) { $0.not(with: $1, name: nil) },
        ]

        /// Booleans go by the expansion of these ops.
        private static let bits: [Lowering] = [
            .binary("bitwise_and", .integers) { $0.bitwiseAND($1, $2, name: nil) },
            .binary("bitwise_or", .integers) { $0.bitwiseOR($1, $2, name: nil) },
            .binary("bitwise_xor", .integers) { $0.bitwiseXOR($1, $2, name: nil) },
            .unary("bitwise_not", .integers) { $0.bitwiseNOT($1, name: nil) },
            .formulaOfTwo("shift_left", .integers) { $0.shifted(left: $1) },
            .formulaOfTwo("shift_right", .integers) { $0.shifted(right: $1) },
        ]

        private static let choices: [Lowering] = [
            .unary("identity", .graphAndComplex) { $0.identity(with: $1, name: nil) },
            Lowering("select", .graphAndComplex) { call, builder in
                let condition = try builder.term("cond", call)
                let (a, b) = (try builder.term("a", call), try builder.term("b", call))
                return [condition.chooseAny(a, b).tensor]
            },
            Lowering("cast", .graphAndComplex) { call, builder in
                let type = try builder.dataType(call.function.tensorType(call.operation.outputs[0]).dtype)
                return [try builder.term("x", call).converted(to: type).tensor]
            },
            Lowering("threshold", .graphNumbers) { call, builder in
                let x = try builder.term("x", call)
                return [x.larger(try bound("alpha", call, x)).tensor]
            },
            Lowering("clip", .graphNumbers) { call, builder in
                let x = try builder.term("x", call)
                return [try x.larger(bound("alpha", call, x)).smaller(bound("beta", call, x)).tensor]
            },
        ]

        // MARK: Rows

        /// A function of MPSGraph's; of complex numbers the formula of the same name.
        private static func function(_ name: String, _ function: @escaping Term.Function) -> Lowering {
            parted(name, wide: false) { x, _ in x.applying(function) }
        }

        /// A formula of real numbers; of complex numbers the one of the same name.
        private static func parted(
            _ name: String, _ dtypes: Set<DataType> = .graphFloats, wide: Bool = true,
            _ real: @escaping @Sendable (Term, Call) throws -> Term
        ) -> Lowering {
            let complex = ComplexFunctions.table[name]
            return Lowering(name, complex == nil ? dtypes : dtypes.union([.complex64])) { call, builder in
                let x = try builder.term("x", call)
                if x.isComplex, let complex { return [try complex(Parts(x), call).tensor] }
                // Booleans need no rounding.
                let isTruth = try call.function.tensorType(call.operation.outputs[0]).dtype == .bool
                return [try wide && !isTruth ? x.inSingle { try real($0, call) }.tensor : real(x, call).tensor]
            }
        }

        /// Integers stay as they are.
        private static func rounding(_ name: String, _ function: @escaping Term.Function) -> Lowering {
            parted(name, .graphNumbers, wide: false) { x, _ in
                x.isFloat ? x.applying(function) : x.applying(MPSGraph.identity(with:name:))
            }
        }

        private static func comparison(
            _ name: String, _ operation: @escaping Term.Operator,
            complex: (@Sendable (Parts, Parts) -> Term)? = nil
        ) -> Lowering {
            Lowering(name, complex == nil ? .graph : .graphAndComplex) { call, builder in
                let (x, y) = (try builder.term("x", call), try builder.term("y", call))
                if x.isComplex, let complex { return [complex(Parts(x), Parts(y)).tensor] }
                // Booleans are compared as numbers.
                guard x.type == .bool else { return [x.applying(operation, y).tensor] }
                return [x.cast(to: .int32).applying(operation, y.cast(to: .int32)).tensor]
            }
        }

        // MARK: Parameters

        /// x + epsilon. Adding 0 would take the sign of a -0.
        private static func added(_ x: Term, _ epsilon: Double) -> Term { epsilon == 0 ? x : x + epsilon }

        /// ln(x + epsilon). What the GPU takes for 0 shows at 0 alone.
        private static func logarithm(_ x: Term, plus epsilon: Double) -> Term {
            if epsilon == 0 || abs(epsilon) >= Double(Float.leastNormalMagnitude) { return added(x, epsilon).log }
            return (x == 0).choose(epsilon > 0 ? Foundation.log(epsilon) : .nan, x.log)
        }

        /// A constant bound in the type of x. A whole bound outside of the type's range means the end of the range.
        private static func bound(_ name: String, _ call: Call, _ x: Term) throws -> Term {
            let value = try call.known(name)
            guard value.count == 1 else {
                throw Failure(.invalidArgument, "The parameter '\(name)' must be one number.")
            }
            if x.isFloat { return x.number(value.double(at: 0)) }
            let range = x.range
            let number = value.double(at: 0).rounded(.towardZero)
            let end = number < 0 ? range.lowerBound : range.upperBound
            let whole = value.dtype.isInteger ? value.int(at: 0) : number.isNaN ? 0 : Int(exactly: number)
            return x.whole(min(max(whole ?? end, range.lowerBound), range.upperBound))
        }
    }
#endif
