import Testing

@testable import MIL

/// The pool is one for the process: these tests go one after the other.
@Suite(.serialized) struct StoragePoolTests {
    @Test func lendsTheSameMemoryAgain() throws {
        StoragePool.clear()
        let first = try StoragePool.take(100_000)
        let place = first._withUnsafeGuaranteedRef { $0.pointer }
        StoragePool.give(first)
        #expect(StoragePool.bytes >= 100_000)
        let second = try StoragePool.take(99_000)
        #expect(second._withUnsafeGuaranteedRef { $0.pointer } == place)
        StoragePool.give(second)
        StoragePool.clear()
        #expect(StoragePool.bytes == 0)
    }

    @Test func holdsWhatIsAskedForAndAQuarterMoreAtMost() throws {
        for size in [0, 1, 63, 64, 65, 80, 81, 1000, 4096, 4097, 1 << 20, (1 << 20) + 1, (64 << 20) - 1, 65 << 20] {
            let memory = try StoragePool.take(size)
            let room = memory._withUnsafeGuaranteedRef { $0.byteCount }
            #expect(room >= size)
            #expect(room <= max(64, size + size / 4 + 1), "\(size) took \(room)")
            StoragePool.give(memory)
        }
    }

    @Test func leavesMemoryInUseAlone() throws {
        StoragePool.clear()
        let memory = try StoragePool.take(4096)
        let other = memory.takeUnretainedValue()
        StoragePool.give(memory)
        #expect(StoragePool.bytes == 0)
        other.pointer.storeBytes(of: 7, as: UInt8.self)
    }

    @Test func keepsNoMoreThanItsLimit() throws {
        StoragePool.clear()
        // Many sizes, four of each: far more than the limit in all.
        let sizes = (0..<40).map { (8 << 20) + $0 << 20 }.filter { $0 <= 64 << 20 }
        let memory = try sizes.flatMap { size in try (0..<4).map { _ in try StoragePool.take(size) } }
        for each in memory {
            StoragePool.give(each)
            #expect(StoragePool.bytes <= StoragePool.limit)
        }
        StoragePool.clear()
    }
}
