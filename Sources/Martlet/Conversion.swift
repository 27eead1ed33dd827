extension Tensor {
    /// The elements in another type, if an app sees another type than the program. Numbers are kept or rounded to the
    /// nearest; floating-point numbers that become integers are cut towards zero and held in range.
    func converted(to dtype: DataType) throws -> Tensor {
        if dtype == self.dtype { return self }
        guard !dtype.isComplex, !self.dtype.isComplex, dtype != .string, self.dtype != .string else {
            throw Failure(.wrongType, "A \(self.dtype.name) tensor does not become a \(dtype.name) tensor.")
        }
        let result = try Tensor(uninitialized: TensorType(dtype, shape))
        switch (self.dtype, dtype) {
        case (.float16, .float32): map(to: result) { (bits: UInt16) in float(half: bits) }
        case (.float32, .float16): map(to: result) { (value: Float) in half(float: value) }
        case (.int32, .float32): map(to: result) { (value: Int32) in Float(value) }
        case (.float32, .int32): map(to: result) { (value: Float) in Tensor.cut(Double(value)) as Int32 }
        case (.float64, .float32): map(to: result) { (value: Double) in Float(value) }
        case (.float32, .float64): map(to: result) { (value: Float) in Double(value) }
        default: store(in: result)
        }
        return result
    }

    private func map<From, To>(to result: Tensor, _ convert: (From) -> To) {
        let target = result.pointer.assumingMemoryBound(to: To.self)
        for index in 0..<count {
            target[index] = convert(
                pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<From>.stride, as: From.self))
        }
    }

    /// Any pair of number types, one element at a time.
    private func store(in result: Tensor) {
        func whole<T: FixedWidthInteger>(_: T.Type) {
            let target = result.pointer.assumingMemoryBound(to: T.self)
            for index in 0..<count {
                target[index] = int(at: index).map(T.init(clamping:)) ?? Tensor.cut(double(at: index))
            }
        }
        func number<T>(_ convert: (Double) -> T) {
            let target = result.pointer.assumingMemoryBound(to: T.self)
            for index in 0..<count { target[index] = convert(double(at: index)) }
        }
        switch result.dtype {
        case .bool: number { $0 != 0 ? UInt8(1) : 0 }
        case .int8: whole(Int8.self)
        case .uint8: whole(UInt8.self)
        case .int16: whole(Int16.self)
        case .uint16: whole(UInt16.self)
        case .int32: whole(Int32.self)
        case .uint32: whole(UInt32.self)
        case .int64: whole(Int64.self)
        case .uint64: whole(UInt64.self)
        case .float16: number { MIL.half(float: Float($0)) }
        case .float32: number { Float($0) }
        case .float64: number { $0 }
        case .complex64, .complex128, .string: break
        }
    }

    /// Towards zero, held in range; NaN becomes 0.
    private static func cut<T: FixedWidthInteger>(_ value: Double) -> T {
        if value.isNaN { return 0 }
        if let exact = T(exactly: value.rounded(.towardZero)) { return exact }
        return value < 0 ? .min : .max
    }
}
