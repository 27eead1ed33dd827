import CKernels
import Foundation
import Synchronization
import Testing

/// Counts of the parts of a region that ran.
private final class Counts: Sendable {
    let values: [Atomic64]
    init(_ count: Int) { values = (0..<count).map { _ in Atomic64() } }
    var all: [Int] { values.map(\.value) }
}

private final class Atomic64: Sendable {
    private let number = Atomic<Int>(0)
    var value: Int { number.load(ordering: .sequentiallyConsistent) }
    func add() { number.add(1, ordering: .sequentiallyConsistent) }
}

/// An item that adds two more until its depth is 0.
private final class Item {
    let depth: Int
    let ran: Atomic64
    init(_ depth: Int, _ ran: Atomic64) { (self.depth, self.ran) = (depth, ran) }

    static let run: @convention(c) (UnsafeMutableRawPointer?) -> Void = { pointer in
        let item = Unmanaged<Item>.fromOpaque(pointer!).takeRetainedValue()
        item.ran.add()
        guard item.depth > 0 else { return }
        for _ in 0..<2 { mk_add_item(run, Unmanaged.passRetained(Item(item.depth - 1, item.ran)).toOpaque()) }
    }
}

@Suite struct ThreadPoolTests {
    /// Runs `body` on several threads at once, each with `threads` threads for its regions.
    private func onThreads(_ count: Int, threads: Int32 = 4, _ body: @escaping @Sendable () -> Void) {
        let group = DispatchGroup()
        for _ in 0..<count {
            group.enter()
            Thread.detachNewThread {
                mk_set_threads(threads)
                body()
                group.leave()
            }
        }
        group.wait()
    }

    @Test func everyPartRunsOnce() {
        onThreads(4) {
            for parts in [1, 2, 3, 7, 64, 1000] {
                let counts = Counts(parts)
                mk_parallel(
                    Int32(parts),
                    { context, part, parts in
                        let counts = Unmanaged<Counts>.fromOpaque(context!).takeUnretainedValue()
                        counts.values[Int(part)].add()
                    }, Unmanaged.passUnretained(counts).toOpaque())
                #expect(counts.all == Array(repeating: 1, count: parts))
            }
        }
    }

    @Test func aRoundBeginsWhenTheRoundBeforeIsDone() {
        final class Rounds: Sendable {
            let done = Counts(100)
            let early = Atomic64()
        }
        onThreads(3) {
            let rounds = Rounds()
            mk_parallel_rounds(
                100, 3,
                { context, round, part, parts in
                    let rounds = Unmanaged<Rounds>.fromOpaque(context!).takeUnretainedValue()
                    if round > 0, rounds.done.values[Int(round) - 1].value != Int(parts) { rounds.early.add() }
                    rounds.done.values[Int(round)].add()
                }, Unmanaged.passUnretained(rounds).toOpaque())
            #expect(rounds.early.value == 0)
            #expect(rounds.done.all == Array(repeating: 3, count: 100))
        }
    }

    @Test func itemsThatAreAddedRunOnce() {
        onThreads(4) {
            for depth in 0..<10 {
                let ran = Atomic64()
                mk_parallel_items(Item.run, Unmanaged.passRetained(Item(depth, ran)).toOpaque())
                #expect(ran.value == 2 << depth - 1)
            }
        }
    }

    @Test func aPartMayOpenARegion() {
        let counts = Counts(1)
        onThreads(2) {
            mk_parallel(
                4,
                { context, _, _ in
                    mk_parallel(
                        5,
                        { context, _, _ in
                            Unmanaged<Counts>.fromOpaque(context!).takeUnretainedValue().values[0].add()
                        }, context)
                }, Unmanaged.passUnretained(counts).toOpaque())
        }
        #expect(counts.all == [40])
    }
}
