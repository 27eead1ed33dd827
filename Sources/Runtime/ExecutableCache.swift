import MIL
import Synchronization

/// A function compiled by the device that took it, with those that did not.
final class Compiled: Sendable {
    let executable: any Executable
    let device: String
    let refusals: [Refusal]
    let tallies: [Counters.Tally]
    /// Memory the key speaks of by its place; held, so that nothing else can come to lie there.
    let memory: [Storage]
    let bytes: Int
    let lastUse = Atomic<UInt64>(0)
    /// No run has used it yet.
    let isFresh = Atomic<Bool>(true)
    /// The cache gave it up.
    let isEvicted = Atomic<Bool>(false)
    /// What runs in its place since its device failed.
    private let successor = Mutex<Compiled?>(nil)
    private let hasFailed = Atomic<Bool>(false)

    init(
        _ executable: any Executable, on device: String, after refusals: [Refusal],
        tallies: [Counters.Tally], memory: [Storage]
    ) {
        self.executable = executable
        self.device = device
        self.refusals = refusals
        self.tallies = tallies
        self.memory = memory
        bytes = executable.footprint
    }

    /// Workspace and repacked weights, and for steps, ports and code what they take by estimate.
    static func bytes(of plan: Plan) -> Int {
        let parts = [plan.workspaceBytes, plan.packedBytes, 4096, plan.steps.count &* 1024]
        return parts.reduce(0) { sum, part in
            let (total, overflow) = sum.addingReportingOverflow(max(part, 0))
            return overflow ? .max : total
        }
    }

    /// Whether it may be run without asking who else might: it is kept, and its device never failed.
    var isQuick: Bool { !isEvicted.load(ordering: .relaxed) && !hasFailed.load(ordering: .relaxed) }

    /// This one, or what replaced it.
    var current: Compiled {
        guard hasFailed.load(ordering: .acquiring), let next = successor.withLock({ $0 }) else { return self }
        return next.current
    }

    /// Makes the replacement once; later calls return the same one.
    func replaced(by make: () throws -> Compiled) rethrows -> Compiled {
        try successor.withLock { successor in
            if let successor { return successor }
            let new = try make()
            successor = new
            hasFailed.store(true, ordering: .releasing)
            return new
        }
    }
}

/// Compiled functions by key: those used last, within a number of entries and of bytes. A thread that asks for a key
/// that another thread is compiling waits for that thread.
final class ExecutableCache: Sendable {
    struct Limits: Sendable, Hashable {
        var entries: Int
        var bytes: Int
    }

    private struct State {
        var entries: [String: Compiled] = [:]
        var pending: [String: Pending] = [:]
        var bytes = 0
        var limits: Limits
    }

    /// A function that one thread compiles and others wait for.
    private final class Pending: Sendable {
        let result = Mutex<Result<Compiled, any Error>?>(nil)
    }

    private let state: Mutex<State>
    private let clock = Atomic<UInt64>(0)

    init(_ limits: Limits) { state = Mutex(State(limits: limits)) }

    var count: Int { state.withLock { $0.entries.count } }
    var bytes: Int { state.withLock { $0.bytes } }

    /// The entry of a key; made where it is not there, once for all who ask at the same time.
    func entry(for key: String, make: () throws -> Compiled) throws -> (compiled: Compiled, wasCached: Bool) {
        enum Found { case ready(Compiled), pending(Pending) }
        let found = state.withLock { state -> Found in
            if let entry = state.entries[key] { return .ready(entry) }
            if let pending = state.pending[key] { return .pending(pending) }
            let pending = Pending()
            state.pending[key] = pending
            return .pending(pending)
        }
        switch found {
        case .ready(let entry):
            touch(entry)
            return (entry, true)
        case .pending(let pending): return try wait(for: pending, key, make)
        }
    }

    /// The first to come here compiles; the others find its result.
    private func wait(
        for pending: Pending, _ key: String, _ make: () throws -> Compiled
    ) throws -> (compiled: Compiled, wasCached: Bool) {
        try pending.result.withLock { result in
            if let result { return (try result.get(), true) }
            defer { state.withLock { $0.pending[key] = nil } }
            do {
                let new = try make()
                result = .success(new)
                keep(new, for: key)
                return (new, false)
            } catch {
                result = .failure(error)
                throw error
            }
        }
    }

    /// Puts an entry in place of the one of this key.
    func keep(_ entry: Compiled, for key: String) {
        touch(entry)
        let evicted = state.withLock { state -> [Compiled] in
            var evicted: [Compiled] = []
            if let old = state.entries.removeValue(forKey: key) {
                state.bytes -= old.bytes
                evicted.append(old)
            }
            guard entry.bytes <= state.limits.bytes, state.limits.entries > 0 else { return evicted + [entry] }
            let room = Limits(entries: state.limits.entries - 1, bytes: state.limits.bytes - entry.bytes)
            evicted += ExecutableCache.shrink(&state, to: room)
            state.entries[key] = entry
            state.bytes += entry.bytes
            return evicted
        }
        tell(evicted)
    }

    /// Sets the limits. What is over them goes at once, the entry used longest ago first; `tell` of it when no lock is held.
    func limit(_ limits: Limits) -> [Compiled] {
        state.withLock { state in
            state.limits = limits
            return ExecutableCache.shrink(&state, to: limits)
        }
    }

    /// Gives up everything.
    func clear() {
        let all = state.withLock { state in
            let all = Array(state.entries.values)
            state.entries = [:]
            state.bytes = 0
            return all
        }
        for entry in all { entry.isEvicted.store(true, ordering: .relaxed) }
    }

    func touch(_ entry: Compiled) {
        entry.lastUse.store(clock.wrappingAdd(1, ordering: .relaxed).newValue, ordering: .relaxed)
    }

    private static func shrink(_ state: inout State, to limits: Limits) -> [Compiled] {
        var evicted: [Compiled] = []
        while state.entries.count > limits.entries || state.bytes > limits.bytes,
            let oldest = state.entries.min(by: { age($0.value) < age($1.value) })
        {
            state.entries[oldest.key] = nil
            state.bytes -= oldest.value.bytes
            evicted.append(oldest.value)
        }
        return evicted
    }

    private static func age(_ entry: Compiled) -> UInt64 { entry.lastUse.load(ordering: .relaxed) }

    /// Marks entries as given up, and logs that.
    func tell(_ evicted: [Compiled]) {
        for entry in evicted {
            entry.isEvicted.store(true, ordering: .relaxed)
            Log.write(.debug, "A compiled function of \(entry.bytes) bytes for \(entry.device) left the cache.")
        }
    }
}
