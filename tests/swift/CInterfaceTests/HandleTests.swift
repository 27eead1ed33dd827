import MIL
import Synchronization
import Testing

@testable import CInterface

private func kind(_ body: () throws -> Void) -> Failure.Kind? {
    do { try body() } catch { return (error as? Failure)?.kind }
    return nil
}

/// An object that counts how many of its kind live.
private final class Counted: Handled {
    static let kind = HandleKind.tensor
    let counter: Counter

    init(_ counter: Counter) {
        self.counter = counter
        counter.alive.wrappingAdd(1, ordering: .relaxed)
    }

    deinit { counter.alive.wrappingSubtract(1, ordering: .relaxed) }
}

private final class Counter: Sendable {
    let alive = Atomic<Int>(0)
    var count: Int { alive.load(ordering: .relaxed) }
}

@Suite struct HandleTests {
    @Test func anObjectLivesUntilItsHandleIsReleased() throws {
        let (table, counter) = (HandleTable(), Counter())
        let handle = try table.add(Counted(counter))
        #expect(counter.count == 1)
        try table.use(handle, as: Counted.self) { #expect($0.counter === counter) }
        try table.release(handle)
        #expect(counter.count == 0)
    }

    @Test func aUseOutlastsTheRelease() throws {
        let (table, counter) = (HandleTable(), Counter())
        let handle = try table.add(Counted(counter))
        try table.use(handle, as: Counted.self) { _ in
            try table.release(handle)
            #expect(counter.count == 1)
            #expect(kind { try table.use(handle, as: Counted.self) { _ in } } == .badHandle)
            #expect(kind { try table.release(handle) } == .badHandle)
        }
        #expect(counter.count == 0)
    }

    @Test func badHandlesAreRefused() throws {
        let table = HandleTable()
        let handle = try table.add(TextObject("a"))
        #expect(kind { try table.use(nil, as: TextObject.self) { _ in } } == .badHandle)
        #expect(kind { try table.use(handle, as: Counted.self) { _ in } } == .badHandle)
        #expect(kind { try table.release(nil) } == .badHandle)
        let foreign: [UInt] = [1, 2, 64, 0x1_0000_0001, 0x7fff_ffff_ffff, .max, 1 << 63, 1 << 63 | 1, .max << 32 | 1]
        for bits in foreign {
            let foreign = OpaquePointer(bitPattern: bits)
            #expect(kind { try table.use(foreign, as: TextObject.self) { _ in } } == .badHandle)
            #expect(kind { try table.release(foreign) } == .badHandle)
        }
        try table.release(handle)
        let next = try table.add(TextObject("b"))
        #expect(next != handle)
        #expect(kind { try table.use(handle, as: TextObject.self) { _ in } } == .badHandle)
        #expect(kind { try table.release(handle) } == .badHandle)
        try table.use(next, as: TextObject.self) { #expect(String(cString: $0.chars) == "b") }
    }

    @Test func manyHandlesTakeManyChunks() throws {
        let (table, counter) = (HandleTable(), Counter())
        let all = try (0..<5000).map { _ in try table.add(Counted(counter)) }
        #expect(Set(all).count == 5000)
        #expect(counter.count == 5000)
        for handle in all { try table.release(handle) }
        #expect(counter.count == 0)
        let again = try (0..<5000).map { _ in try table.add(Counted(counter)) }
        #expect(Set(again).isDisjoint(with: all))
        for handle in again { try table.release(handle) }
    }

    /// Threads make, use and release the same few handles; every object goes once, and nothing is seen after it went.
    @Test func threadsShareTheTable() async throws {
        let (table, counter) = (HandleTable(), Counter())
        let shared = UnsafeSendable(UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: 8))
        for index in 0..<8 { (shared.pointer + index).initialize(to: Atomic(0)) }
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for turn in 0..<5000 {
                        let cell = shared.pointer + (turn &* 31 &+ task) % 8
                        let seen = OpaquePointer(bitPattern: cell.pointee.load(ordering: .relaxed))
                        try? table.use(seen, as: Counted.self) { #expect($0.counter === counter) }
                        if turn % 3 == 0, let new = try? table.add(Counted(counter)) {
                            let old = cell.pointee.exchange(UInt(bitPattern: new), ordering: .relaxed)
                            if old != 0 { #expect(kind { try table.release(OpaquePointer(bitPattern: old)) } == nil) }
                        }
                    }
                }
            }
        }
        for index in 0..<8 {
            try table.release(OpaquePointer(bitPattern: shared.pointer[index].load(ordering: .relaxed)))
        }
        #expect(counter.count == 0)
        shared.pointer.deallocate()
    }
}

private struct UnsafeSendable: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Atomic<UInt>>
    init(_ pointer: UnsafeMutablePointer<Atomic<UInt>>) { self.pointer = pointer }
}
