import MIL

/// Copies elements between places with different strides, whole rows where they lie without gaps.
struct StridedCopy {
    let shape: [Int]
    /// Bytes of an element.
    let size: Int

    /// The strides of rows without gaps.
    static func packed(_ shape: [Int]) -> [Int] {
        var (strides, step) = (shape, 1)
        for index in shape.indices.reversed() { (strides[index], step) = (step, step * shape[index]) }
        return strides
    }

    func run(
        from source: UnsafeRawPointer, _ sourceStrides: [Int], to target: UnsafeMutableRawPointer,
        _ targetStrides: [Int]
    ) {
        run(0, source, sourceStrides, target, targetStrides)
    }

    private func run(
        _ axis: Int, _ source: UnsafeRawPointer, _ sourceStrides: [Int], _ target: UnsafeMutableRawPointer,
        _ targetStrides: [Int]
    ) {
        guard axis < shape.count else { return target.copyMemory(from: source, byteCount: size) }
        if axis == shape.count - 1, sourceStrides[axis] == 1, targetStrides[axis] == 1 {
            return target.copyMemory(from: source, byteCount: shape[axis] * size)
        }
        for index in 0..<shape[axis] {
            run(
                axis + 1, source + index * sourceStrides[axis] * size, sourceStrides,
                target + index * targetStrides[axis] * size, targetStrides)
        }
    }
}

extension Tensor {
    /// As Core ML's interface carries it: booleans and small integers as int32.
    func carried(as type: TensorType) throws -> Tensor {
        switch dtype {
        case type.dtype: reshaped(type.shape)
        case .bool, .uint8: try map(to: type) { (number: UInt8) in Int32(number) }
        case .int8: try map(to: type) { (number: Int8) in Int32(number) }
        case .int16: try map(to: type) { (number: Int16) in Int32(number) }
        default: try map(to: type) { (number: UInt16) in Int32(number) }
        }
    }

    /// The way back. A type whose sizes are open leaves the shape as it is.
    func given(as type: TensorType) throws -> Tensor {
        let type = TensorType(type.dtype, type.isFixed ? type.shape : shape)
        return switch type.dtype {
        case dtype: reshaped(type.shape)
        case .bool: try map(to: type) { (number: Int32) in UInt8(number == 0 ? 0 : 1) }
        case .int8, .uint8: try map(to: type) { (number: Int32) in UInt8(truncatingIfNeeded: number) }
        default: try map(to: type) { (number: Int32) in UInt16(truncatingIfNeeded: number) }
        }
    }

    private func map<From, To>(to type: TensorType, _ convert: (From) -> To) throws -> Tensor {
        let result = try Tensor(uninitialized: type)
        let target = result.pointer.assumingMemoryBound(to: To.self)
        for index in 0..<count {
            target[index] = convert(
                pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<From>.stride, as: From.self))
        }
        return result
    }
}
