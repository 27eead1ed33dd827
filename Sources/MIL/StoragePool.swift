import Synchronization

/// Memory of results that are gone, for the results to come: taking it from here spares the allocator's work and, for
/// large tensors, the system's clearing of pages. Sizes are rounded up to four steps a power of two. No lock, no wait.
public enum StoragePool {
    /// At most this much memory waits here: 256 MiB.
    public static let limit = 256 << 20
    /// Larger results than this are not kept: 64 MiB.
    private static let largest = 64 << 20
    private static let smallestShift = 6
    private static let placesPerSize = 4
    private static let sizes = 4 * 21
    private static let waiting = Atomic<Int>(0)

    private typealias Place = Atomic<Unmanaged<Storage>?>
    private nonisolated(unsafe) static let places: UnsafeMutablePointer<Place> = {
        let places = UnsafeMutablePointer<Place>.allocate(capacity: sizes * placesPerSize)
        for index in 0..<sizes * placesPerSize { (places + index).initialize(to: Place(nil)) }
        return places
    }()

    /// Bytes that wait to be used again.
    public static var bytes: Int { waiting.load(ordering: .relaxed) }

    /// Memory of at least this size, not cleared. It is the caller's, who gives it back or releases it.
    public static func take(_ byteCount: Int) throws -> Unmanaged<Storage> {
        guard byteCount <= largest else { return .passRetained(try Storage(allocating: byteCount)) }
        let (index, size) = step(byteCount)
        let first = places + index * placesPerSize
        for place in 0..<placesPerSize {
            guard first[place].load(ordering: .relaxed) != nil,
                let storage = first[place].exchange(nil, ordering: .acquiringAndReleasing)
            else { continue }
            waiting.wrappingSubtract(size, ordering: .relaxed)
            return storage
        }
        if let storage = Storage(pooled: size) { return .passRetained(storage) }
        clear()
        return .passRetained(try Storage(allocating: byteCount))
    }

    /// Takes back memory that its owner no longer needs. Memory of the pool without another reference is kept for the
    /// next use, as far as there is room; all other memory is released.
    public static func give(_ memory: Unmanaged<Storage>) {
        let size = memory._withUnsafeGuaranteedRef { $0.isPooled ? $0.byteCount : 0 }
        guard size > 0, isOnlyReference(memory), waiting.load(ordering: .relaxed) + size <= limit else {
            return memory.release()
        }
        let first = places + step(size).index * placesPerSize
        for place in 0..<placesPerSize where first[place].load(ordering: .relaxed) == nil {
            if first[place].compareExchange(expected: nil, desired: memory, ordering: .acquiringAndReleasing).exchanged
            {
                waiting.wrappingAdd(size, ordering: .relaxed)
                return
            }
        }
        memory.release()
    }

    private static func isOnlyReference(_ memory: Unmanaged<Storage>) -> Bool {
        var pointer = memory.toOpaque()
        return withUnsafeMutablePointer(to: &pointer) {
            $0.withMemoryRebound(to: Storage.self, capacity: 1) { isKnownUniquelyReferenced(&$0.pointee) }
        }
    }

    /// Gives everything that waits back to the system.
    public static func clear() {
        for index in 0..<sizes * placesPerSize {
            guard let storage = places[index].exchange(nil, ordering: .acquiringAndReleasing) else { continue }
            waiting.wrappingSubtract(storage.takeRetainedValue().byteCount, ordering: .relaxed)
        }
    }

    /// The step of sizes that holds a number of bytes, and how many it holds.
    private static func step(_ byteCount: Int) -> (index: Int, size: Int) {
        let bytes = max(byteCount, 1 << smallestShift)
        let shift = Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount
        guard shift >= smallestShift else { return (0, 1 << smallestShift) }
        let quarter = 1 << (shift - 2)
        let quarters = (bytes - (1 << shift) + quarter - 1) >> (shift - 2)
        return ((shift - smallestShift) * 4 + quarters, (1 << shift) + quarters * quarter)
    }
}
