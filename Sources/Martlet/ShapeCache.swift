import Synchronization

/// The executables of a flexible model, by the shapes of its inputs: the sixteen used last. Looking one up takes no
/// lock; only compiling does, one thread at a time.
final class ShapeCache: Sendable {
    private static let capacity = 16

    private nonisolated(unsafe) let slots: UnsafeMutablePointer<Slot>
    private let clock = Atomic<UInt64>(0)
    private let compiling = Mutex(())

    private final class Entry: Sendable {
        let shapes: [[Int]]
        let executable: any Executable
        let lastUse = Atomic<UInt64>(0)

        init(_ shapes: [[Int]], _ executable: any Executable) {
            self.shapes = shapes
            self.executable = executable
        }
    }

    init() {
        slots = .allocate(capacity: ShapeCache.capacity)
        for index in 0..<ShapeCache.capacity { (slots + index).initialize(to: Slot()) }
    }

    deinit {
        slots.deinitialize(count: ShapeCache.capacity)
        slots.deallocate()
    }

    /// The executable for these shapes; compiled where it is not there yet.
    func executable(for shapes: [[Int]], compile: () throws -> any Executable) throws -> any Executable {
        if let found = find(shapes) { return found }
        return try compiling.withLock { _ in
            if let found = find(shapes) { return found }
            let executable = try compile()
            keep(Entry(shapes, executable))
            return executable
        }
    }

    private func find(_ shapes: [[Int]]) -> (any Executable)? {
        let tag = ShapeCache.tag(shapes)
        for index in 0..<ShapeCache.capacity {
            guard let entry = enter(index, tag: tag) else { continue }
            let match = entry.shapes == shapes
            if match { touch(entry) }
            _ = slots[index].leave()
            if match { return entry.executable }
        }
        return nil
    }

    private func keep(_ entry: Entry) {
        let place = (0..<ShapeCache.capacity).first { slots[$0].isEmpty } ?? emptyOldest()
        touch(entry)
        if let place { slots[place].fill(entry, tag: ShapeCache.tag(entry.shapes)) }
    }

    /// Empties the place used longest ago. If another thread is reading that place, it becomes empty later, and the new
    /// executable is not kept.
    private func emptyOldest() -> Int? {
        let ages = (0..<ShapeCache.capacity).map { index -> UInt64 in
            guard let entry = enter(index, tag: slots[index].tag) else { return .max }
            defer { _ = slots[index].leave() }
            return entry.lastUse.load(ordering: .relaxed)
        }
        guard let oldest = ages.indices.min(by: { ages[$0] < ages[$1] }) else { return nil }
        return slots[oldest].end(tag: slots[oldest].tag).cleared ? oldest : nil
    }

    private func enter(_ index: Int, tag: UInt32) -> Entry? {
        slots[index].enter(tag: tag).map { unsafeDowncast($0.takeUnretainedValue(), to: Entry.self) }
    }

    private func touch(_ entry: Entry) {
        entry.lastUse.store(clock.wrappingAdd(1, ordering: .relaxed).newValue, ordering: .relaxed)
    }

    private static func tag(_ shapes: [[Int]]) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for shape in shapes {
            hash = (hash ^ UInt32(truncatingIfNeeded: shape.count)) &* 16_777_619
            for size in shape { hash = (hash ^ UInt32(truncatingIfNeeded: size)) &* 16_777_619 }
        }
        return hash
    }
}
