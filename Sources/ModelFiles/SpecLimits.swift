import MIL

/// What no honest file exceeds. A hostile one meets these before it meets memory or the stack.
enum SpecLimits {
    static let rank = 16
    static let typeDepth = 16
    static let blockDepth = 64
    static let argumentsOfAnOperation = 64

    /// A shape whose element count, and that of each part of it, can be computed and held; -1 is an unknown dimension.
    static func check(_ shape: [Int], _ dtype: DataType) throws {
        guard shape.count <= rank else {
            throw Failure(.malformed, "A tensor has \(shape.count) dimensions; \(rank) are the most.")
        }
        guard shape.allSatisfy({ $0 >= -1 }) else {
            throw Failure(.malformed, "The shape \(shape) has a negative dimension.")
        }
        // Elements of no size and dimensions of zero or unknown size count as one, so that no partial product overflows.
        var total = max(dtype.size, 1)
        for size in shape where size > 1 {
            let (product, overflow) = total.multipliedReportingOverflow(by: size)
            guard !overflow, product <= TensorType.largestByteCount else {
                throw Failure(
                    .outOfMemory,
                    "A \(dtype.name) tensor of shape \(shape) is larger than \(TensorType.largestByteCount >> 30) GiB, "
                        + "the most a tensor may hold.")
            }
            total = product
        }
    }
}
