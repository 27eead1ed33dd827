import MIL
import ShimControl

// Elementwise operations of the stand-in. What Apple does not document is done in the least helpful way: NaN is
// dropped, integers divided by 0 are garbage, and types that were never seen to work end the process.

extension MPSGraph {
    // MARK: Functions of one operand

    public func exponent(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("exp", tensor, name) }
    public func exponentBase2(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        real("exp2", tensor, name)
    }
    public func logarithm(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        float(tensor, "logarithm")
        return emit("log", ["x": tensor, "epsilon": Float(0)], name)
    }
    public func logarithmBase2(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        real("log2", tensor, name)
    }
    public func logarithmBase10(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        real("log10", tensor, name)
    }
    public func square(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("square", tensor, name) }
    public func squareRoot(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("sqrt", tensor, name) }
    public func reciprocalSquareRoot(_ tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        float(tensor, "reciprocalSquareRoot")
        return emit("rsqrt", ["x": tensor, "epsilon": Float(0)], name)
    }
    public func absolute(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("abs", tensor, name) }
    public func negative(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        real("negative", tensor, name)
    }
    public func sign(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("sign", tensor, name) }
    public func signbit(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("sign_bit", tensor, name) }
    public func ceil(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("ceil", tensor, name) }
    public func floor(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("floor", tensor, name) }
    public func rint(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("round", tensor, name) }
    public func truncate(_ tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("trunc", tensor, name) }
    public func sin(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("sin", tensor, name) }
    public func cos(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("cos", tensor, name) }
    public func tan(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("tan", tensor, name) }
    public func sinh(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("sinh", tensor, name) }
    public func cosh(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("cosh", tensor, name) }
    public func tanh(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("tanh", tensor, name) }
    public func asin(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("asin", tensor, name) }
    public func acos(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("acos", tensor, name) }
    public func atan(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("atan", tensor, name) }
    public func asinh(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("asinh", tensor, name) }
    public func acosh(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("acosh", tensor, name) }
    public func atanh(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("atanh", tensor, name) }
    public func erf(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("erf", tensor, name) }
    public func sigmoid(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("sigmoid", tensor, name) }
    public func isInfinite(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        real("is_inf", tensor, name)
    }
    public func isFinite(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        real("is_finite", tensor, name)
    }
    public func isNaN(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor { real("is_nan", tensor, name) }
    public func not(with tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        emit("logical_not", ["x": tensor], name)
    }
    public func bitwiseNOT(_ tensor: MPSGraphTensor, name: String?) -> MPSGraphTensor {
        whole(tensor, "bitwiseNOT")
        return emit("bitwise_not", ["x": tensor], name)
    }

    /// An operation on floating-point numbers that are real.
    private func real(_ op: String, _ tensor: MPSGraphTensor, _ name: String?) -> MPSGraphTensor {
        float(tensor, op)
        return emit(op, ["x": tensor], name)
    }

    func float(_ tensor: MPSGraphTensor, _ what: String) {
        guard type(tensor).dtype.isFloat else { graphAbort("'\(what)' of \(type(tensor))") }
    }

    private func whole(_ tensor: MPSGraphTensor, _ what: String) {
        guard type(tensor).dtype.isInteger else { graphAbort("'\(what)' of \(type(tensor))") }
    }

    // MARK: Arithmetic

    public func subtraction(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("sub", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func multiplication(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("mul", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func division(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        let dtype = type(primaryTensor).dtype
        guard dtype.isInteger else { return emit("real_div", ["x": primaryTensor, "y": secondaryTensor], name) }
        let quotient = ShimControl.isHostile && dtype != .uint64 ? roughly : cut
        let isNone = emit("equal", ["x": secondaryTensor, "y": number(0, dtype)])
        return emit(
            "select", ["cond": isNone, "a": number(77, dtype), "b": quotient(primaryTensor, secondaryTensor)], name)
    }

    /// Integers divided as in the shading language, towards zero.
    private func cut(_ x: MPSGraphTensor, _ y: MPSGraphTensor) -> MPSGraphTensor {
        let dtype = type(x).dtype
        let quotient = emit("real_div", ["x": x, "y": y])
        let rest = subtraction(x, multiplication(quotient, y, name: nil), name: nil)
        let isBelow = emit("less", ["x": quotient, "y": number(0, dtype)])
        let isUneven = emit("not_equal", ["x": rest, "y": number(0, dtype)])
        let up = emit("cast", ["x": logicalAND(isBelow, isUneven, name: nil), "dtype": dtype.name])
        return addition(quotient, up, name: nil)
    }

    /// Integers divided as fp32.
    private func roughly(_ x: MPSGraphTensor, _ y: MPSGraphTensor) -> MPSGraphTensor {
        let (a, b) = (emit("cast", ["x": x, "dtype": "fp32"]), emit("cast", ["x": y, "dtype": "fp32"]))
        return emit("cast", ["x": emit("real_div", ["x": a, "y": b]), "dtype": type(x).dtype.name])
    }

    public func modulo(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        float(primaryTensor, "modulo")
        let size = emit("mod", ["x": emit("abs", ["x": primaryTensor]), "y": emit("abs", ["x": secondaryTensor])])
        let rest = emit("copysign", ["x": size, "y": primaryTensor], name)
        guard ShimControl.isHostile else { return rest }
        // As fast arithmetic does it: x - y · trunc(x / y), which has no answer for infinite y.
        let isInfinite = emit("is_inf", ["x": secondaryTensor])
        let nothing = number(.nan, type(primaryTensor).dtype)
        return emit("select", ["cond": isInfinite, "a": nothing, "b": rest], name)
    }

    public func power(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        float(primaryTensor, "power")
        return emit("pow", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func atan2(
        withPrimaryTensor primaryTensor: MPSGraphTensor, secondaryTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        float(primaryTensor, "atan2")
        return emit("atan2", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func maximum(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        droppingNaN("maximum", primaryTensor, secondaryTensor, name)
    }

    public func minimum(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        droppingNaN("minimum", primaryTensor, secondaryTensor, name)
    }

    public func maximumWithNaNPropagation(
        _ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        float(primaryTensor, "maximumWithNaNPropagation")
        return emit("maximum", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func minimumWithNaNPropagation(
        _ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        float(primaryTensor, "minimumWithNaNPropagation")
        return emit("minimum", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    private func droppingNaN(_ op: String, _ x: MPSGraphTensor, _ y: MPSGraphTensor, _ name: String?)
        -> MPSGraphTensor
    {
        let plain = emit(op, ["x": x, "y": y], name)
        guard type(x).dtype.isFloat else { return plain }
        let known = emit("select", ["cond": emit("is_nan", ["x": y]), "a": x, "b": plain])
        return emit("select", ["cond": emit("is_nan", ["x": x]), "a": y, "b": known], name)
    }

    /// A number that broadcasts.
    func number(_ value: Double, _ dtype: DataType) -> MPSGraphTensor {
        guard let dataType = MPSDataType(dtype) else { graphAbort("a constant of \(dtype.name)") }
        return constant(value, shape: [NSNumber(value: 1)], dataType: dataType)
    }

    // MARK: Comparisons and logic

    public func equal(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        compare("equal", primaryTensor, secondaryTensor, name)
    }

    public func notEqual(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        compare("not_equal", primaryTensor, secondaryTensor, name)
    }

    public func lessThan(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        compare("less", primaryTensor, secondaryTensor, name)
    }

    public func lessThanOrEqualTo(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        compare("less_equal", primaryTensor, secondaryTensor, name)
    }

    public func greaterThan(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        compare("greater", primaryTensor, secondaryTensor, name)
    }

    public func greaterThanOrEqualTo(
        _ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        compare("greater_equal", primaryTensor, secondaryTensor, name)
    }

    private func compare(_ op: String, _ x: MPSGraphTensor, _ y: MPSGraphTensor, _ name: String?) -> MPSGraphTensor {
        guard type(x).dtype.isFloat || type(x).dtype.isInteger else { graphAbort("'\(op)' of \(type(x))") }
        return emit(op, ["x": x, "y": y], name)
    }

    public func logicalAND(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("logical_and", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func logicalOR(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("logical_or", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func logicalXOR(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("logical_xor", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func select(
        predicate predicateTensor: MPSGraphTensor, trueTensor truePredicateTensor: MPSGraphTensor,
        falseTensor falseSelectTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        let dtype = type(truePredicateTensor).dtype
        guard dtype.isFloat || dtype.isInteger else { graphAbort("'select' of \(type(truePredicateTensor))") }
        return emit(
            "select", ["cond": predicateTensor, "a": truePredicateTensor, "b": falseSelectTensor], name)
    }

    // MARK: Bits

    public func bitwiseAND(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        whole(primaryTensor, "bitwiseAND")
        return emit("bitwise_and", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func bitwiseOR(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        whole(primaryTensor, "bitwiseOR")
        return emit("bitwise_or", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func bitwiseXOR(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        whole(primaryTensor, "bitwiseXOR")
        return emit("bitwise_xor", ["x": primaryTensor, "y": secondaryTensor], name)
    }

    public func bitwiseLeftShift(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("shift_left", ["x": primaryTensor, "y": places(secondaryTensor)], name)
    }

    public func bitwiseRightShift(_ primaryTensor: MPSGraphTensor, _ secondaryTensor: MPSGraphTensor, name: String?)
        -> MPSGraphTensor
    {
        emit("shift_right", ["x": primaryTensor, "y": places(secondaryTensor)], name)
    }

    /// A processor sees the lower bits alone of how far it shall shift.
    private func places(_ count: MPSGraphTensor) -> MPSGraphTensor {
        let dtype = type(count).dtype
        whole(count, "a shift")
        return emit("bitwise_and", ["x": count, "y": number(Double(dtype.size * 8 - 1), dtype)])
    }

    public func reinterpretCast(_ tensor: MPSGraphTensor, to type: MPSDataType, name: String?) -> MPSGraphTensor {
        let given = self.type(tensor)
        guard let dtype = type.mil, let last = given.shape.last, last * given.dtype.size % dtype.size == 0 else {
            graphAbort("the bits of a \(given) as \(type)")
        }
        // Shorter elements make the last dimension longer.
        let shape = given.shape.dropLast() + [last * given.dtype.size / dtype.size]
        return host("reinterpret", [tensor], types: [TensorType(dtype, Array(shape))], name: name) { outputs, inputs in
            outputs[0].pointer.copyMemory(from: inputs[0].pointer, byteCount: given.byteCount)
        }[0]
    }
}
