// Operations on tensors. Each is one op of the table, run on the device that the selector of `Backend.shared` chooses.
//
//     let hidden = try (x.matmul(weight) + bias).relu()
//
// Operands broadcast as in NumPy: axes are matched from the last one on, and length 1 stretches. Operands of different
// element types are brought to the one that both promote to. What does not fit throws a `Failure` with both shapes or types.

/// What may stand beside a tensor: another tensor, or a number, which takes the tensor's element type where that can hold
/// numbers of its kind.
public protocol Operand: Sendable {
    /// The operand as a tensor beside one of an element type.
    func beside(_ dtype: DataType) throws -> Tensor
}

extension Tensor: Operand {
    public func beside(_ dtype: DataType) -> Tensor { self }
}

extension Int: Operand {
    /// Fails if the element type is an integer type that cannot hold this number.
    public func beside(_ dtype: DataType) throws -> Tensor {
        guard dtype.isInteger else {
            return dtype == .bool ? Constant(self).tensor : Double(self).beside(dtype)
        }
        let number = try Tensor(Int64(self)).converted(to: dtype)
        guard number.int(at: 0) == self else {
            throw Failure(.outOfRange, "\(self) stands beside a \(dtype.name) tensor, whose elements cannot hold it.")
        }
        return number
    }
}

extension Double: Operand {
    /// Beside integers and booleans it is fp32.
    public func beside(_ dtype: DataType) -> Tensor {
        Tensor([self], dtype: dtype.isFloat || dtype.isComplex ? dtype : .float32, shape: [])
    }
}

extension Float: Operand {
    /// Beside integers and booleans it is fp32.
    public func beside(_ dtype: DataType) -> Tensor { Double(self).beside(dtype) }
}

extension Bool: Operand {
    public func beside(_ dtype: DataType) -> Tensor { Tensor(self) }
}

// MARK: Two operands

extension Tensor {
    public func add(_ other: some Operand) throws -> Tensor { try with(other, "add") }
    public func sub(_ other: some Operand) throws -> Tensor { try with(other, "sub") }
    /// The product, element by element.
    public func mul(_ other: some Operand) throws -> Tensor { try with(other, "mul") }
    /// The quotient in floating point, also of integers.
    public func div(_ other: some Operand) throws -> Tensor { try with(other, "divide") }
    public func pow(_ exponent: some Operand) throws -> Tensor { try with(exponent, "pow") }
    /// The larger of both, element by element.
    public func maximum(_ other: some Operand) throws -> Tensor { try with(other, "maximum") }
    /// The smaller of both, element by element.
    public func minimum(_ other: some Operand) throws -> Tensor { try with(other, "minimum") }

    // Comparisons give booleans.
    public func equal(_ other: some Operand) throws -> Tensor { try with(other, "equal") }
    public func notEqual(_ other: some Operand) throws -> Tensor { try with(other, "not_equal") }
    public func less(_ other: some Operand) throws -> Tensor { try with(other, "less") }
    public func lessEqual(_ other: some Operand) throws -> Tensor { try with(other, "less_equal") }
    public func greater(_ other: some Operand) throws -> Tensor { try with(other, "greater") }
    public func greaterEqual(_ other: some Operand) throws -> Tensor { try with(other, "greater_equal") }

    /// The matrix product of the last two axes, […, rows, inner] by […, inner, columns]; the axes before them broadcast. A
    /// vector [inner] stands for one row on the left and one column on the right.
    public func matmul(_ other: Tensor) throws -> Tensor { try with(other, "matmul") }

    private func with(_ other: some Operand, _ op: String) throws -> Tensor {
        try eager(op, ["x": self, "y": other.beside(dtype)])
    }

    public static func + (a: Tensor, b: Tensor) throws -> Tensor { try a.add(b) }
    public static func - (a: Tensor, b: Tensor) throws -> Tensor { try a.sub(b) }
    public static func * (a: Tensor, b: Tensor) throws -> Tensor { try a.mul(b) }
    public static func / (a: Tensor, b: Tensor) throws -> Tensor { try a.div(b) }

    public static func + (a: Tensor, b: some Operand) throws -> Tensor { try a.add(b) }
    public static func - (a: Tensor, b: some Operand) throws -> Tensor { try a.sub(b) }
    public static func * (a: Tensor, b: some Operand) throws -> Tensor { try a.mul(b) }
    public static func / (a: Tensor, b: some Operand) throws -> Tensor { try a.div(b) }

    public static func + (a: some Operand, b: Tensor) throws -> Tensor { try a.beside(b.dtype).add(b) }
    public static func - (a: some Operand, b: Tensor) throws -> Tensor { try a.beside(b.dtype).sub(b) }
    public static func * (a: some Operand, b: Tensor) throws -> Tensor { try a.beside(b.dtype).mul(b) }
    public static func / (a: some Operand, b: Tensor) throws -> Tensor { try a.beside(b.dtype).div(b) }

    public static prefix func - (x: Tensor) throws -> Tensor { try x.negative() }
}

// MARK: One operand

extension Tensor {
    public func relu() throws -> Tensor { try eager("relu", ["x": self]) }
    /// x · Φ(x), Φ the normal distribution.
    public func gelu() throws -> Tensor { try eager("gelu", ["x": self]) }
    public func sigmoid() throws -> Tensor { try eager("sigmoid", ["x": self]) }
    public func silu() throws -> Tensor { try eager("silu", ["x": self]) }
    public func tanh() throws -> Tensor { try eager("tanh", ["x": self]) }
    /// e^x over the sum of e^x along an axis, counted from the end where negative.
    public func softmax(axis: Int = -1) throws -> Tensor { try eager("softmax", ["x": self], ["axis": Constant(axis)]) }

    public func exp() throws -> Tensor { try eager("exp", ["x": self]) }
    /// The natural logarithm; -∞ of 0.
    public func log() throws -> Tensor { try eager("log", ["x": self], ["epsilon": 0]) }
    public func sqrt() throws -> Tensor { try eager("sqrt", ["x": self]) }
    public func square() throws -> Tensor { try eager("square", ["x": self]) }
    public func sin() throws -> Tensor { try eager("sin", ["x": self]) }
    public func cos() throws -> Tensor { try eager("cos", ["x": self]) }
    public func erf() throws -> Tensor { try eager("erf", ["x": self]) }
    public func abs() throws -> Tensor { try eager("abs", ["x": self]) }
    public func negative() throws -> Tensor { try eager("negative", ["x": self]) }
    public func floor() throws -> Tensor { try eager("floor", ["x": self]) }
    public func ceil() throws -> Tensor { try eager("ceil", ["x": self]) }
    /// To the nearest integer, half to even.
    public func round() throws -> Tensor { try eager("round", ["x": self]) }

    /// The elements in another type; floating-point numbers are cut towards zero, integers wrap around.
    public func cast(to dtype: DataType) throws -> Tensor {
        dtype == self.dtype ? self : try eager("cast", ["x": self], ["dtype": Constant(dtype.name)])
    }
}

// MARK: Reductions

/// Axes count from the end where they are negative; all axes where they are left out. `keepDims` leaves length 1 in their
/// place.
extension Tensor {
    /// The sum; integers narrower than 32 bits and booleans are summed in 32.
    public func sum(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
        try cast(to: dtype.forSums).reduced("reduce_sum", axes, keepDims)
    }

    /// The mean; that of integers and booleans is fp32.
    public func mean(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
        try cast(to: dtype.isInteger || dtype == .bool ? .float32 : dtype).reduced("reduce_mean", axes, keepDims)
    }

    /// The largest element.
    public func max(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
        try reduced("reduce_max", axes, keepDims)
    }

    /// The smallest element.
    public func min(axes: [Int]? = nil, keepDims: Bool = false) throws -> Tensor {
        try reduced("reduce_min", axes, keepDims)
    }

    /// The position of the largest element along an axis, as int32.
    public func argmax(axis: Int = -1) throws -> Tensor {
        try eager("reduce_argmax", ["x": self], ["axis": Constant(axis)])
    }

    private func reduced(_ op: String, _ axes: [Int]?, _ keepDims: Bool) throws -> Tensor {
        try eager(op, ["x": self], ["axes": axes.map { Constant($0) }, "keep_dims": Constant(keepDims)])
    }
}

extension DataType {
    fileprivate var forSums: DataType {
        guard isInteger || self == .bool, size < 4 else { return self }
        return isSigned || self == .bool ? .int32 : .uint32
    }
}

// MARK: Shape

extension Tensor {
    /// The same elements under another shape; one -1 takes what is left. Nothing is copied.
    public func reshape(_ shape: [Int]) throws -> Tensor {
        var filled = shape
        if let open = shape.firstIndex(of: -1) {
            filled[open] = 1
            let known = (try? TensorType(.bool, filled).checkedByteCount()) ?? 0
            filled[open] = known > 0 && count % known == 0 ? count / known : -1
        }
        guard (try? TensorType(.bool, filled).checkedByteCount()) == count else {
            throw Failure(
                .invalidArgument,
                "A tensor of shape \(self.shape) has \(count) elements, which do not fill the shape \(shape).")
        }
        return reshaped(filled)
    }

    /// The axes in another order: `order` names the axis of this tensor that becomes each axis of the result. Left out,
    /// all are turned round.
    public func transposed(_ order: [Int]? = nil) throws -> Tensor {
        try eager("transpose", ["x": self], ["perm": Constant(order ?? shape.indices.reversed())])
    }

    /// Tensors joined along an axis; their other axes must be alike.
    public static func concat(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
        guard !tensors.isEmpty else {
            throw Failure(.invalidArgument, "There are no tensors to join; there must be one.")
        }
        return try eager("concat", "values", tensors, ["axis": Constant(axis)])[0]
    }
}
