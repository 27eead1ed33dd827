import MIL
import Synchronization
import Testing

@testable import Runtime

private struct Nothing: Executable {
    let inputs: [Port] = []
    let outputs: [Port] = []
    let plan: Plan

    init(bytes: Int) { plan = Plan(device: "none", steps: [], workspaceBytes: bytes, packedBytes: 0) }

    func run(_ inputs: [Tensor], observing observer: Observer?) -> [Tensor] { [] }
}

private func compiled(_ bytes: Int = 0) -> Compiled {
    Compiled(Nothing(bytes: bytes), on: "none", after: [], tallies: [], memory: [])
}

/// What the entry of an empty plan counts as.
private let least = 4096

@Suite struct ExecutableCacheTests {
    @Test func keepsWhatWasUsedLast() throws {
        let cache = ExecutableCache(.init(entries: 2, bytes: .max))
        func ask(_ key: String) throws -> Bool { try cache.entry(for: key) { compiled() }.wasCached }
        #expect(try [ask("a"), ask("b"), ask("a")] == [false, false, true])
        #expect(try !ask("c"))
        #expect(try ask("a"))
        #expect(try !ask("b"))
        #expect(cache.count == 2)
    }

    @Test func aRunCountsAsUse() throws {
        let cache = ExecutableCache(.init(entries: 2, bytes: .max))
        let a = try cache.entry(for: "a") { compiled() }.compiled
        _ = try cache.entry(for: "b") { compiled() }
        cache.touch(a)
        _ = try cache.entry(for: "c") { compiled() }
        #expect(try cache.entry(for: "a") { compiled() }.wasCached)
        #expect(try !cache.entry(for: "b") { compiled() }.wasCached)
    }

    @Test func shrinksAtOnce() throws {
        let cache = ExecutableCache(.init(entries: 10, bytes: .max))
        let entries = try (0..<10).map { number in
            try cache.entry(for: "\(number)") { compiled(1000) }.compiled
        }
        cache.tell(cache.limit(.init(entries: 10, bytes: 3 * (least + 1000))))
        #expect((cache.count, cache.bytes) == (3, 3 * (least + 1000)))
        let evicted = entries.map { $0.isEvicted.load(ordering: .relaxed) }
        #expect(evicted == (0..<10).map { $0 < 7 })
        cache.tell(cache.limit(.init(entries: 1, bytes: .max)))
        #expect(cache.count == 1)
        cache.clear()
        #expect((cache.count, cache.bytes) == (0, 0))
    }

    @Test func whatIsLargerThanTheCacheIsNotKept() throws {
        let cache = ExecutableCache(.init(entries: 10, bytes: 10_000))
        _ = try cache.entry(for: "small") { compiled() }
        let large = try cache.entry(for: "large") { compiled(20_000) }.compiled
        let isEvicted = large.isEvicted.load(ordering: .relaxed)
        #expect(isEvicted)
        #expect(try cache.entry(for: "small") { compiled() }.wasCached)
        #expect(cache.bytes == least)
        _ = try cache.entry(for: "endless") { compiled(.max) }
        #expect(cache.bytes == least)
    }

    /// After every step of a random history: within the limits, and exactly what a plain model of the cache holds.
    @Test(arguments: 0..<20) func isNeverOverItsLimits(seed: UInt64) throws {
        var dice = Dice(state: seed)
        var limits = ExecutableCache.Limits(entries: 5, bytes: 40_000)
        let cache = ExecutableCache(limits)
        // Keys with their bytes, the one used longest ago first.
        var model: [(key: String, bytes: Int)] = []
        func shrink() {
            while model.count > limits.entries || model.reduce(0, { $0 + $1.bytes }) > limits.bytes {
                model.removeFirst()
            }
        }
        for _ in 0..<500 {
            switch Int.random(in: 0..<12, using: &dice) {
            case 0:
                limits = .init(
                    entries: .random(in: 0...8, using: &dice), bytes: .random(in: 0...60_000, using: &dice))
                cache.tell(cache.limit(limits))
                shrink()
            case 1:
                cache.clear()
                model = []
            default:
                let key = "\(Int.random(in: 0..<12, using: &dice))"
                let bytes = Int.random(in: 0...20_000, using: &dice)
                let found = try cache.entry(for: key) { compiled(bytes) }
                #expect(found.wasCached == model.contains { $0.key == key })
                if let index = model.firstIndex(where: { $0.key == key }) {
                    model.append(model.remove(at: index))
                } else if found.compiled.bytes <= limits.bytes, limits.entries > 0 {
                    limits.bytes -= found.compiled.bytes
                    limits.entries -= 1
                    shrink()
                    limits.bytes += found.compiled.bytes
                    limits.entries += 1
                    model.append((key, found.compiled.bytes))
                }
            }
            #expect(cache.count <= limits.entries && cache.bytes <= limits.bytes)
            #expect((cache.count, cache.bytes) == (model.count, model.reduce(0) { $0 + $1.bytes }))
        }
    }

    @Test func oneCompilesForAllWhoAsk() async throws {
        let cache = ExecutableCache(.init(entries: 10, bytes: .max))
        let made = Counters.Tally()
        let fresh = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    try !cache.entry(for: "one") {
                        made.count.wrappingAdd(1, ordering: .relaxed)
                        System.sleep(nanoseconds: 20_000_000)
                        return compiled()
                    }.wasCached
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(made.count.load(ordering: .relaxed) == 1)
        #expect(fresh == 1)
    }

    @Test func aFailureIsNotKept() throws {
        let cache = ExecutableCache(.init(entries: 10, bytes: .max))
        let failed = failure { _ = try cache.entry(for: "a") { throw Failure(.unsupported, "not today") } }
        #expect(failed?.message == "not today")
        #expect(try !cache.entry(for: "a") { compiled() }.wasCached)
    }
}
