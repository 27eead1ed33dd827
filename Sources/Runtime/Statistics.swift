import Synchronization

/// What a backend has done so far.
public struct Statistics: Sendable, Hashable {
    /// Runs that gave results.
    public var totalOperations = 0
    /// Runs whose compiled function was there already, and runs that had to compile it. Both stay as they are while
    /// caching is off.
    public var cacheHits = 0
    public var cacheMisses = 0
    /// Runs that at least one device refused before another took them.
    public var fallbackOperations = 0
    /// The same by device and reason; a run that two devices refused counts under both, and a model that a device failed
    /// to load counts once.
    public var fallbacks: [String: [String: Int]] = [:]
    /// Over all runs of programs and models, and over one in 256 of the quick eager calls.
    public var averageExecutionTimeMs = 0.0
    /// What the cache holds now.
    public var cacheEntries = 0
    public var cacheBytes = 0

    /// The share of look-ups that found a compiled function, 0 to 1; 0 before the first.
    public var cacheHitRate: Double {
        cacheHits + cacheMisses == 0 ? 0 : Double(cacheHits) / Double(cacheHits + cacheMisses)
    }

    /// The share of runs that fell back, 0 to 1; 0 before the first.
    public var fallbackRate: Double { totalOperations == 0 ? 0 : Double(fallbackOperations) / Double(totalOperations) }
}

/// The counters behind `Statistics`. Counting a run takes no lock and no memory.
final class Counters: Sendable {
    let operations = Atomic<Int>(0)
    /// Runs that were timed, and how long they took.
    let timed = Atomic<Int>(0)
    let nanoseconds = Atomic<UInt64>(0)
    let hits = Atomic<Int>(0)
    let misses = Atomic<Int>(0)
    let fallbacks = Atomic<Int>(0)
    private let reasons = Mutex<[String: [String: Tally]]>([:])

    /// How often one device refused for one reason.
    final class Tally: Sendable {
        let count = Atomic<Int>(0)
    }

    /// No device is remembered with more reasons than this; further ones count together.
    private static let mostReasons = 256

    /// The tally of a device and a reason; asked for once when a function is compiled.
    func tally(_ device: String, _ reason: String) -> Tally {
        reasons.withLock { reasons in
            let known = reasons[device, default: [:]]
            let reason = known[reason] == nil && known.count >= Counters.mostReasons ? "other reasons" : reason
            if let tally = known[reason] { return tally }
            let tally = Tally()
            reasons[device, default: [:]][reason] = tally
            return tally
        }
    }

    var snapshot: Statistics {
        var result = Statistics()
        result.totalOperations = operations.load(ordering: .relaxed)
        result.cacheHits = hits.load(ordering: .relaxed)
        result.cacheMisses = misses.load(ordering: .relaxed)
        result.fallbackOperations = fallbacks.load(ordering: .relaxed)
        result.fallbacks = reasons.withLock { reasons in
            reasons.mapValues { $0.mapValues { $0.count.load(ordering: .relaxed) }.filter { $0.value > 0 } }
        }.filter { !$0.value.isEmpty }
        let total = Double(nanoseconds.load(ordering: .relaxed)) / 1e6
        let timed = timed.load(ordering: .relaxed)
        result.averageExecutionTimeMs = timed == 0 ? 0 : total / Double(timed)
        return result
    }
}
