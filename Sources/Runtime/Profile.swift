import MIL
import Synchronization

/// A record of runs, step by step: what ran where, when, how long, and why there. It is filled between `begin` and `end` by
/// every run of the process, or by a backend that profiles.
public final class Profile: Sendable {
    /// One step of a run; times in nanoseconds.
    public struct Step: Sendable, Hashable {
        /// The run it belongs to, counted from 0.
        public var run: Int
        public var ops: [String]
        public var output: String
        public var type: String
        public var device: String
        public var kernel: String
        /// Why this kernel.
        public var reason: String
        /// Since the profile began.
        public var start: UInt64
        public var duration: UInt64
        /// What the kernel read and wrote.
        public var bytes: Int
        public var thread: Int
    }

    /// One run of a function; times in nanoseconds.
    public struct Run: Sendable, Hashable {
        public var function: String
        public var device: String
        /// Why this device.
        public var reason: String
        /// Since the profile began.
        public var start: UInt64
        public var duration: UInt64
        public var thread: Int
    }

    /// No profile holds more steps than this; later ones are only counted.
    public static let mostSteps = 1 << 20

    private struct Contents {
        var runs: [Run] = []
        var steps: [Step] = []
        var dropped = 0
        var threads: [UInt: Int] = [:]
        var end: UInt64?
    }

    private let origin = Runtime.nanoseconds()
    private let contents = Mutex(Contents())

    init() {}

    public var runs: [Run] { contents.withLock { $0.runs } }
    public var steps: [Step] { contents.withLock { $0.steps } }
    /// Steps that found no room.
    public var dropped: Int { contents.withLock { $0.dropped } }
    public var isEnded: Bool { contents.withLock { $0.end != nil } }
    /// Nanoseconds from the beginning to the end or, before it, to now.
    public var duration: UInt64 { (contents.withLock { $0.end } ?? Runtime.nanoseconds()) &- origin }

    // MARK: Recording

    private static let active = Mutex<[Profile]>([])
    private static let activeCount = Atomic<Int>(0)

    /// A profile of everything this process runs from now until `end`.
    public static func begin() -> Profile {
        let profile = Profile()
        active.withLock {
            $0.append(profile)
            activeCount.store($0.count, ordering: .relaxed)
        }
        return profile
    }

    /// Ends the recording; runs under way are left out. A second call does nothing.
    public func end() {
        Profile.active.withLock { active in
            active.removeAll { $0 === self }
            Profile.activeCount.store(active.count, ordering: .relaxed)
        }
        contents.withLock { if $0.end == nil { $0.end = Runtime.nanoseconds() } }
    }

    /// Forgets everything recorded so far.
    public func clear() {
        contents.withLock { contents in
            contents.runs = []
            contents.steps = []
            contents.dropped = 0
        }
    }

    /// The profiles that a run of this moment belongs to.
    fileprivate static func receivers(_ own: Profile?) -> [Profile] {
        let active = activeCount.load(ordering: .relaxed) == 0 ? [] : active.withLock { $0 }
        return own.map { own in active.contains { $0 === own } ? active : active + [own] } ?? active
    }

    /// Whether a profile records the runs of the whole process.
    static var isActive: Bool { activeCount.load(ordering: .relaxed) > 0 }

    fileprivate static func isNeeded(_ own: Profile?) -> Bool {
        own != nil || activeCount.load(ordering: .relaxed) > 0
    }

    /// Takes over a finished run with its steps, whose times are absolute.
    fileprivate func add(_ run: Run, _ steps: [Step]) {
        contents.withLock { contents in
            guard contents.end == nil, run.start >= origin else { return }
            guard contents.steps.count + steps.count <= Profile.mostSteps, contents.runs.count < Profile.mostSteps
            else {
                contents.dropped += max(steps.count, 1)
                return
            }
            let thread = contents.threads[System.thread] ?? contents.threads.count + 1
            contents.threads[System.thread] = thread
            var run = run
            run.start -= origin
            run.thread = thread
            for var step in steps {
                step.run = contents.runs.count
                step.start = step.start > origin ? step.start - origin : 0
                step.thread = thread
                contents.steps.append(step)
            }
            contents.runs.append(run)
        }
    }

    // MARK: Reading

    /// The recording in the trace format that Chrome's about:tracing and Perfetto show: complete events in microseconds.
    public var chromeTrace: String {
        let contents = contents.withLock { $0 }
        let runs = contents.runs.map { run in
            Profile.event(
                run.function, "run", run.start, run.duration, run.thread,
                [("device", quoted(run.device)), ("reason", quoted(run.reason))])
        }
        let steps = contents.steps.map { step in
            Profile.event(
                step.ops.isEmpty ? step.kernel : step.ops.joined(separator: " + "), "op", step.start, step.duration,
                step.thread,
                [
                    ("output", quoted(step.output)), ("type", quoted(step.type)), ("device", quoted(step.device)),
                    ("kernel", quoted(step.kernel)), ("reason", quoted(step.reason)), ("bytes", "\(step.bytes)"),
                ])
        }
        return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\((runs + steps).joined(separator: ","))]}"
    }

    private static func event(
        _ name: String, _ category: String, _ start: UInt64, _ duration: UInt64, _ thread: Int,
        _ facts: [(String, String)]
    ) -> String {
        let arguments = facts.map { "\"\($0)\":\($1)" }.joined(separator: ",")
        return "{\"name\":\(quoted(name)),\"cat\":\"\(category)\",\"ph\":\"X\",\"ts\":\(microseconds(start)),"
            + "\"dur\":\(microseconds(duration)),\"pid\":\(System.process),\"tid\":\(thread),\"args\":{\(arguments)}}"
    }

    private static func microseconds(_ nanoseconds: UInt64) -> String {
        let rest = String(nanoseconds % 1000)
        return "\(nanoseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }
}

extension Executable {
    /// Runs it and, where a profile is being recorded, leaves the run there. Costs one atomic load where none is.
    public func recorded(
        _ inputs: [Tensor], state: (any ExecutableState)? = nil, as function: String, because reason: String = "",
        in own: Profile? = nil, observing observer: Observer? = nil
    ) throws -> [Tensor] {
        // A backend records what it runs itself.
        guard Profile.isNeeded(own), !(self is BackendExecutable) else {
            return try run(inputs, with: state, observing: observer)
        }
        let plan = plan
        var steps: [Profile.Step] = []
        let start = Runtime.nanoseconds()
        let results = try run(inputs, with: state) { step, nanoseconds, result in
            let known = step == Plan.wholeRun ? plan.whole : plan.steps.indices.contains(step) ? plan.steps[step] : nil
            if let known {
                steps.append(.init(known, on: plan.device, Runtime.nanoseconds() &- nanoseconds, nanoseconds))
            }
            observer?(step, nanoseconds, result)
        }
        let run = Profile.Run(
            function: function, device: plan.device, reason: reason, start: start,
            duration: Runtime.nanoseconds() &- start, thread: 0)
        for profile in Profile.receivers(own) { profile.add(run, steps) }
        return results
    }

    /// Runs a batch; one by one where a profile is being recorded, so that every run leaves its steps there.
    public func recorded(batch: [[Tensor]], as function: String, because reason: String = "") throws -> [[Tensor]] {
        guard Profile.isNeeded(nil) else { return try run(batch: batch) }
        return try batch.map { try recorded($0, as: function, because: reason) }
    }

    /// Runs it without blocking the caller's thread, likewise.
    public func recordedAsync(
        _ inputs: [Tensor], state: (any ExecutableState)? = nil, as function: String, because reason: String = ""
    ) async throws -> [Tensor] {
        guard Profile.isNeeded(nil) else { return try await runAsync(inputs, state: state) }
        return try await Workers.shared.run {
            try self.recorded(inputs, state: state, as: function, because: reason)
        }
    }

    fileprivate func run(
        _ inputs: [Tensor], with state: (any ExecutableState)?, observing observer: Observer?
    ) throws -> [Tensor] {
        try state.map { try run(inputs, state: $0, observing: observer) } ?? run(inputs, observing: observer)
    }
}

extension Profile.Step {
    fileprivate init(_ step: Plan.Step, on device: String, _ start: UInt64, _ duration: UInt64) {
        self.init(
            run: 0, ops: step.ops, output: step.output, type: step.type.description, device: device,
            kernel: step.kernel, reason: step.reason, start: start, duration: duration, bytes: step.bytes, thread: 0)
    }
}

/// A text as JSON has it.
private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case let control where control.value < 0x20:
            let digits = String(control.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
