/// Element type and shape of a tensor. A dimension of -1 is not known before an input arrives.
public struct TensorType: Sendable, Hashable, CustomStringConvertible {
    public var dtype: DataType
    public var shape: [Int]

    public init(_ dtype: DataType, _ shape: [Int]) {
        self.dtype = dtype
        self.shape = shape
    }

    public var rank: Int { shape.count }
    public var isFixed: Bool { shape.allSatisfy { $0 >= 0 } }
    /// Only the first dimension is unknown, as where it depends on the elements of an input.
    public var isOpen: Bool { shape.first == -1 && shape.dropFirst().allSatisfy { $0 >= 0 } }

    /// Number of elements; only meaningful where `isFixed`.
    public var count: Int { shape.reduce(1, *) }
    public var byteCount: Int { count * dtype.size }

    /// MIL text: `tensor<fp32, [1, ?]>`.
    public var description: String {
        "tensor<\(dtype.name), [\(shape.map { $0 < 0 ? "?" : String($0) }.joined(separator: ", "))]>"
    }

    /// Bytes of a tensor of this type. Fails if a dimension is not known, or if the tensor is too large to be held.
    public func checkedByteCount() throws -> Int {
        // Counting a 0 as 1, and strings as bytes, keeps every product of dimensions within range.
        var total = max(dtype.size, 1)
        for dimension in shape {
            guard dimension >= 0 else {
                throw Failure(.invalidArgument, "The shape \(shape) has a dimension that is not known.")
            }
            let (product, overflow) = total.multipliedReportingOverflow(by: max(dimension, 1))
            guard !overflow, product <= TensorType.largestByteCount else {
                throw Failure(
                    .outOfMemory,
                    "A \(dtype.name) tensor of shape \(shape) is larger than \(TensorType.largestByteCount >> 30) GiB, "
                        + "the most a tensor may hold.")
            }
            total = product
        }
        return byteCount
    }

    /// No tensor is larger than this: 64 GiB.
    public static let largestByteCount = 64 << 30
}

/// The type of any value of a program.
public enum ValueType: Sendable, Hashable, CustomStringConvertible {
    case tensor(TensorType)
    indirect case list(ValueType, length: Int?)
    case tuple([ValueType])
    indirect case dictionary(key: ValueType, value: ValueType)
    case state(TensorType)

    public var tensor: TensorType? {
        if case .tensor(let type) = self { type } else { nil }
    }

    public var description: String {
        switch self {
        case .tensor(let type): type.description
        case .list(let element, let length): "list<\(element), \(length.map(String.init) ?? "?")>"
        case .tuple(let members): "tuple<\(members.map(\.description).joined(separator: ", "))>"
        case .dictionary(let key, let value): "dict<\(key), \(value)>"
        case .state(let type): "state<\(type)>"
        }
    }
}

/// The shape two shapes broadcast to, by NumPy's rule: aligned at the last dimension, 1 stretches.
public func broadcast(_ a: [Int], _ b: [Int]) throws -> [Int] {
    var result = a.count >= b.count ? a : b
    let shorter = a.count >= b.count ? b : a
    let shift = result.count - shorter.count
    for (index, size) in shorter.enumerated() {
        let other = result[shift + index]
        if other == 1 {
            result[shift + index] = size
        } else if size != 1 && size != other {
            throw Failure(.invalidArgument, "Shapes \(a) and \(b) do not broadcast: \(other) against \(size).")
        }
    }
    return result
}

extension Int {
    /// The product of two sizes, or a failure where no tensor could be that large.
    func times(_ other: Int) throws -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        guard !overflow, product.magnitude <= TensorType.largestByteCount.magnitude else {
            throw Failure(.outOfMemory, "The size \(self) · \(other) is larger than any tensor.")
        }
        return product
    }
}

extension Sequence<Int> {
    /// The product of sizes, 1 where there are none, or a failure where no tensor could be that large.
    func product() throws -> Int { try reduce(1) { try $0.times($1) } }
}
