import Martlet

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Numbers that are the same for the same seed everywhere (SplitMix64).
struct Source: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// Floats between -1 and 1, integers from 0 to 9.
    mutating func random(_ type: TensorType) -> Tensor {
        let elements = (0..<type.count).map { _ in
            type.dtype.isFloat ? Double.random(in: -1...1, using: &self) : Double(Int.random(in: 0...9, using: &self))
        }
        return Tensor(elements, dtype: type.dtype, shape: type.shape)
    }

    func zeros(_ type: TensorType) -> Tensor {
        Tensor([Double](repeating: 0, count: type.count), dtype: type.dtype, shape: type.shape)
    }
}

/// The 32-bit floats of a file as an input. Where they do not fill the usual shape, the one flexible dimension gives way.
func tensor(from path: String, for port: Port, usual: [Int]) throws -> Tensor {
    let elements = try floats(path)
    var shape = usual
    let open = port.type.shape.indices.filter { port.type.shape[$0] < 0 }
    if elements.count != usual.reduce(1, *), open.count == 1 {
        shape[open[0]] = 1
        shape[open[0]] = elements.count / max(shape.reduce(1, *), 1)
    }
    guard elements.count == shape.reduce(1, *) else {
        throw Failure(
            .invalidArgument,
            "'\(path)' holds \(elements.count) floats; '\(port.name)' of shape \(shape) needs another number.")
    }
    return Tensor(elements.map(Double.init), dtype: port.type.dtype, shape: shape)
}

private func floats(_ path: String) throws -> [Float] {
    guard let file = fopen(path, "rb") else { throw Failure(.notFound, "'\(path)' cannot be read.") }
    defer { fclose(file) }
    var elements: [Float] = []
    var buffer = [Float](repeating: 0, count: 1 << 16)
    while case let count = fread(&buffer, MemoryLayout<Float>.size, buffer.count, file), count > 0 {
        elements += buffer[..<count]
    }
    return elements
}
