import Synchronization

/// A tensor type as an object, which results of the same call share: comparing two of them is mostly comparing two
/// addresses, and its shape lies in memory that other languages can read.
public final class SharedType: Sendable {
    public let type: TensorType
    public let hash: UInt32
    public let byteCount: Int
    private let dimensions = Atomic<UInt>(0)

    public init(_ type: TensorType) {
        self.type = type
        var hash = UInt32(type.dtype.rawValue) &+ 17
        for size in type.shape { hash = (hash &* 16_777_619) ^ UInt32(truncatingIfNeeded: size) }
        self.hash = hash ^ hash >> 15
        byteCount = type.isFixed ? type.byteCount : 0
    }

    deinit { UnsafeMutablePointer<Int64>(bitPattern: dimensions.load(ordering: .acquiring))?.deallocate() }

    @inline(__always)
    public static func matches(_ a: SharedType, _ b: SharedType) -> Bool {
        a === b || (a.hash == b.hash && a.type == b.type)
    }

    /// The sizes as C has them; made when first asked for, and there as long as this object.
    public var shape: UnsafeMutablePointer<Int64>? {
        if let made = UnsafeMutablePointer<Int64>(bitPattern: dimensions.load(ordering: .acquiring)) { return made }
        let new = UnsafeMutablePointer<Int64>.allocate(capacity: max(type.rank, 1))
        for (index, size) in type.shape.enumerated() { new[index] = Int64(size) }
        let (done, other) = dimensions.compareExchange(
            expected: 0, desired: UInt(bitPattern: new), successOrdering: .acquiringAndReleasing,
            failureOrdering: .acquiring)
        if done { return new }
        new.deallocate()
        return UnsafeMutablePointer(bitPattern: other)
    }
}
