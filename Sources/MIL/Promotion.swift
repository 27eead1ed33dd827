extension DataType {
    /// The type that values of two types are brought to before they are combined: the rules of the Python array API
    /// standard. What it leaves open is decided as follows: an integer takes the type of the floating-point number
    /// beside it, and int64 with uint64 becomes fp64, as in NumPy. Nil if one of the two is a text.
    public func promoted(with other: DataType) -> DataType? {
        if self == other { return self }
        guard self != .string, other != .string else { return nil }
        let (low, high) = kindOrder <= other.kindOrder ? (self, other) : (other, self)
        if low == .bool { return high }
        switch (low.isInteger, high.isInteger) {
        case (true, true): return DataType.wholePromotion(low, high)
        case (true, false): return high
        default: break
        }
        if low.isComplex == high.isComplex { return low.size >= high.size ? low : high }
        return low == .float64 ? .complex128 : high
    }

    private static func wholePromotion(_ a: DataType, _ b: DataType) -> DataType {
        if a.isSigned == b.isSigned { return a.size >= b.size ? a : b }
        let (signed, unsigned) = a.isSigned ? (a, b) : (b, a)
        if signed.size > unsigned.size { return signed }
        return switch unsigned {
        case .uint8: .int16
        case .uint16: .int32
        case .uint32: .int64
        default: .float64
        }
    }

    /// Whether integers of this type may be negative.
    public var isSigned: Bool { [.int8, .int16, .int32, .int64].contains(self) }

    /// Booleans, integers, floating-point and complex numbers, in this order.
    private var kindOrder: Int { self == .bool ? 0 : isInteger ? 1 : isFloat ? 2 : 3 }
}
