#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    /// A tensor of a graph that grows, with the signs of arithmetic, so that what MPSGraph lacks reads as a formula.
    /// Operands have one element type; numbers take it.
    struct Term {
        let tensor: MPSGraphTensor
        let graph: MPSGraph

        init(_ tensor: MPSGraphTensor, _ graph: MPSGraph) {
            self.tensor = tensor
            self.graph = graph
        }

        /// A method of MPSGraph's with one operand.
        typealias Function = @Sendable (MPSGraph) -> (MPSGraphTensor, String?) -> MPSGraphTensor
        /// One with two operands, which broadcast.
        typealias Operator = @Sendable (MPSGraph) -> (MPSGraphTensor, MPSGraphTensor, String?) -> MPSGraphTensor

        func applying(_ function: Function) -> Term { Term(function(graph)(tensor, nil), graph) }

        func applying(_ operation: Operator, _ other: Term) -> Term {
            Term(operation(graph)(tensor, other.tensor, nil), graph)
        }

        // MARK: Types and constants

        var type: MPSDataType { tensor.dataType }
        var isFloat: Bool { type == .float16 || type == .float32 }
        var isComplex: Bool { type == .complexFloat32 }
        /// Integers that may be negative.
        var isSigned: Bool { [.int8, .int16, .int32, .int64].contains(type) }
        /// The bits of an element.
        var width: Int { Int(type.rawValue & 0xff) }

        func cast(to type: MPSDataType) -> Term {
            type == self.type ? self : Term(graph.cast(tensor, to: type, name: nil), graph)
        }

        /// A number of this element type, which broadcasts.
        func number(_ value: Double) -> Term {
            Term(graph.constant(value, shape: [NSNumber(value: 1)], dataType: type), graph)
        }

        /// An integer of this element type, exact to the last of 64 bits.
        func whole(_ value: Int) -> Term {
            let bytes = withUnsafeBytes(of: value.littleEndian) { Data($0.prefix(width / 8)) }
            return Term(graph.constant(bytes, shape: [NSNumber(value: 1)], dataType: type), graph)
        }

        /// 0 in every place.
        var zeros: Term { number(0).broadcast(sizes) }

        // MARK: Shapes

        /// The sizes, which are all known while a function is lowered.
        var sizes: [Int] { (tensor.shape ?? []).map(\.intValue) }

        func reshaped(_ sizes: [Int]) -> Term {
            let sizes = sizes.isEmpty ? [1] : sizes
            return sizes == self.sizes ? self : Term(graph.reshape(tensor, shape: sizes.numbers, name: nil), graph)
        }

        func broadcast(_ sizes: [Int]) -> Term {
            let sizes = sizes.isEmpty ? [1] : sizes
            return sizes == self.sizes ? self : Term(graph.broadcast(tensor, shape: sizes.numbers, name: nil), graph)
        }

        func transposed(_ permutation: [Int]) -> Term {
            permutation == Array(permutation.indices)
                ? self : Term(graph.transpose(tensor, permutation: permutation.numbers, name: nil), graph)
        }

        // MARK: Precision

        /// A formula of several steps on fp16 is computed in fp32 and rounded once.
        func inSingle(_ formula: (Term) throws -> Term) rethrows -> Term {
            type == .float16 ? try formula(cast(to: .float32)).cast(to: .float16) : try formula(self)
        }

        static func inSingle(_ x: Term, _ y: Term, _ formula: (Term, Term) throws -> Term) rethrows -> Term {
            guard x.type == .float16 else { return try formula(x, y) }
            return try formula(x.cast(to: .float32), y.cast(to: .float32)).cast(to: .float16)
        }
    }

    extension [Int] {
        /// In MPSGraph's form.
        var numbers: [NSNumber] { map(NSNumber.init(value:)) }
    }

    // MARK: Arithmetic

    extension Term {
        static func + (x: Term, y: Term) -> Term { x.applying(MPSGraph.addition, y) }
        static func - (x: Term, y: Term) -> Term { x.applying(MPSGraph.subtraction, y) }
        static func * (x: Term, y: Term) -> Term { x.applying(MPSGraph.multiplication, y) }
        static func / (x: Term, y: Term) -> Term { x.applying(MPSGraph.division, y) }
        static func + (x: Term, y: Double) -> Term { x + x.number(y) }
        static func + (x: Double, y: Term) -> Term { y.number(x) + y }
        static func - (x: Term, y: Double) -> Term { x - x.number(y) }
        static func - (x: Double, y: Term) -> Term { y.number(x) - y }
        static func * (x: Term, y: Double) -> Term { x * x.number(y) }
        static func * (x: Double, y: Term) -> Term { y.number(x) * y }
        static func / (x: Double, y: Term) -> Term { y.number(x) / y }
        static prefix func - (x: Term) -> Term { x.isFloat ? x.applying(MPSGraph.negative(with:name:)) : 0 - x }

        static func == (x: Term, y: Term) -> Term { x.applying(MPSGraph.equal, y) }
        static func != (x: Term, y: Term) -> Term { x.applying(MPSGraph.notEqual, y) }
        static func < (x: Term, y: Term) -> Term { x.applying(MPSGraph.lessThan, y) }
        static func > (x: Term, y: Term) -> Term { x.applying(MPSGraph.greaterThan, y) }
        static func >= (x: Term, y: Term) -> Term { x.applying(MPSGraph.greaterThanOrEqualTo, y) }
        static func == (x: Term, y: Double) -> Term { x == x.number(y) }
        static func != (x: Term, y: Double) -> Term { x != x.number(y) }
        static func < (x: Term, y: Double) -> Term { x < x.number(y) }
        static func > (x: Term, y: Double) -> Term { x > x.number(y) }
        static func >= (x: Term, y: Double) -> Term { x >= x.number(y) }

        /// Of booleans.
        static func && (x: Term, y: Term) -> Term { x.applying(MPSGraph.logicalAND, y) }
        static func || (x: Term, y: Term) -> Term { x.applying(MPSGraph.logicalOR, y) }
        static prefix func ! (x: Term) -> Term { x.applying(MPSGraph.not(with:name:)) }

        /// Of the bits of integers.
        static func & (x: Term, y: Term) -> Term { x.applying(MPSGraph.bitwiseAND, y) }
        static func ^ (x: Term, y: Term) -> Term { x.applying(MPSGraph.bitwiseXOR, y) }
        static func << (x: Term, y: Term) -> Term { x.applying(MPSGraph.bitwiseLeftShift, y) }
        static func >> (x: Term, y: Term) -> Term { x.applying(MPSGraph.bitwiseRightShift, y) }

        /// One term where this condition holds, else the other. What is not taken may be NaN.
        func choose(_ a: Term, _ b: Term) -> Term {
            Term(
                graph.select(predicate: tensor, trueTensor: a.tensor, falseTensor: b.tensor, name: nil), graph)
        }
        func choose(_ a: Double, _ b: Term) -> Term { choose(b.number(a), b) }
        func choose(_ a: Term, _ b: Double) -> Term { choose(a, a.number(b)) }

        /// NaN stays NaN: MPSGraph's plain maximum drops it.
        func larger(_ other: Term) -> Term {
            applying(isFloat ? MPSGraph.maximumWithNaNPropagation : MPSGraph.maximum, other)
        }
        func smaller(_ other: Term) -> Term {
            applying(isFloat ? MPSGraph.minimumWithNaNPropagation : MPSGraph.minimum, other)
        }
        func held(from low: Double, to high: Double) -> Term { larger(number(low)).smaller(number(high)) }
    }

    // MARK: Functions of floating-point numbers

    extension Term {
        var magnitude: Term { applying(MPSGraph.absolute(with:name:)) }
        var squareRoot: Term { applying(MPSGraph.squareRoot(with:name:)) }
        var exp: Term { applying(MPSGraph.exponent(with:name:)) }
        var log: Term { applying(MPSGraph.logarithm(with:name:)) }
        var rint: Term { applying(MPSGraph.rint(with:name:)) }
        var truncated: Term { applying(MPSGraph.truncate) }
        var sin: Term { applying(MPSGraph.sin(with:name:)) }
        var cos: Term { applying(MPSGraph.cos(with:name:)) }
        var tan: Term { applying(MPSGraph.tan(with:name:)) }
        var sinh: Term { applying(MPSGraph.sinh(with:name:)) }
        var cosh: Term { applying(MPSGraph.cosh(with:name:)) }
        var tanh: Term { applying(MPSGraph.tanh(with:name:)) }
        var erf: Term { applying(MPSGraph.erf(with:name:)) }
        var sigmoid: Term { applying(MPSGraph.sigmoid(with:name:)) }
        var isNaN: Term { applying(MPSGraph.isNaN(with:name:)) }
        var isInfinite: Term { applying(MPSGraph.isInfinite(with:name:)) }
        var isFinite: Term { applying(MPSGraph.isFinite(with:name:)) }
        var isMinus: Term { applying(MPSGraph.signbit(with:name:)) }
        func atan2(_ x: Term) -> Term { applying(MPSGraph.atan2(withPrimaryTensor:secondaryTensor:name:), x) }

        /// |x| with the sign of another term.
        func withSign(of other: Term) -> Term { other.isMinus.choose(-magnitude, magnitude) }

        /// e^x - 1 with the digits of small results: a series near 0, which no fast arithmetic can spoil.
        var expm1: Term {
            var series = number(1)
            for divisor in stride(from: 9.0, to: 1, by: -1) { series = 1 + self * (1 / divisor) * series }
            return (magnitude < 0.5).choose(self * series, exp - 1)
        }

        /// ln(1 + x) likewise, by 2 artanh(x / (2 + x)) near 0.
        var log1p: Term {
            let s = self / (self + 2)
            let square = s * s
            var series = number(0)
            for power in stride(from: 17.0, to: 0, by: -2) { series = 1 / power + square * series }
            return (magnitude < 0.5).choose(2 * s * series, (self + 1).log)
        }

        /// ln(1 + e^x), for large x as exact as for small ones.
        var softplus: Term { larger(number(0)) + (-magnitude).exp.log1p }

        /// A power; squares and cubes are products, which are quicker and lose nothing.
        func realPower(_ exponent: Term, exponent known: Tensor?) -> Term {
            switch known.flatMap({ $0.count == 1 && exponent.sizes == [1] ? $0.double(at: 0) : nil }) {
            case 2: inSingle { $0 * $0 }
            case 3: inSingle { $0 * $0 * $0 }
            default: applying(MPSGraph.power, exponent)
            }
        }

        /// √(x² + y²), whose squares stay within range; infinite where one is infinite.
        func hypot(_ other: Term) -> Term {
            let (x, y) = (magnitude, other.magnitude)
            let (large, small) = (x.larger(y), x.smaller(y))
            let ratio = (large == 0).choose(0, small / large)
            let size = large * (1 + ratio * ratio).squareRoot
            return (isInfinite || other.isInfinite).choose(.infinity, size)
        }
    }

    // MARK: Rows

    extension GraphBuilder {
        /// The operand bound to a parameter, as a term.
        func term(_ name: String, _ call: Call) throws -> Term { Term(try tensor(name, call), graph) }
    }

    extension Lowering {
        /// An op of one operand that MPSGraph lacks, as a formula of what it has; fp16 is computed in fp32.
        static func formula(
            _ name: String, _ dtypes: Set<DataType> = .graphFloats,
            refusal: @escaping @Sendable (Call) -> String? = { _ in nil },
            _ formula: @escaping @Sendable (_ x: Term, _ call: Call) throws -> Term
        ) -> Lowering {
            Lowering(name, dtypes, refusal: refusal) { call, builder in
                [try builder.term("x", call).inSingle { try formula($0, call) }.tensor]
            }
        }

        /// The same of two operands.
        static func formulaOfTwo(
            _ name: String, _ dtypes: Set<DataType> = .graphFloats,
            refusal: @escaping @Sendable (Call) -> String? = { _ in nil },
            _ formula: @escaping @Sendable (_ x: Term, _ y: Term) throws -> Term
        ) -> Lowering {
            Lowering(name, dtypes, refusal: refusal) { call, builder in
                [try Term.inSingle(builder.term("x", call), builder.term("y", call), formula).tensor]
            }
        }
    }

    extension Call {
        /// A constant number, as exact as it is given.
        func number(_ name: String) throws -> Double {
            let value = try known(name)
            guard value.count == 1 else {
                throw Failure(.invalidArgument, "The parameter '\(name)' must be one number.")
            }
            return value.double(at: 0)
        }
    }
#endif
