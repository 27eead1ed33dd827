import MIL
import Synchronization

/// Chooses where an operation runs. One rule for eager calls, plans and backends:
///
/// 1. Devices that are not available, refuse the operation, or change results are left out; the last are taken by `pin` only.
/// 2. What is pinned is taken.
/// 3. Where the first device of the table was measured, the cheapest measured one is taken: seconds = a + b · work, and
///    c · bytes where data must be copied there. The device chosen before for the class and size stays until another
///    is better by more than 20 %.
/// 4. Else the table holds: small → CPU, medium → Metal, large → Core ML, very large → Metal; complex, distribution, custom
///    and distributed operations never go to Core ML.
///
/// Safe to use from several threads at a time.
public final class SmartDeviceSelector: Sendable {
    public let devices: [any Device]
    public let thresholds: DeviceThresholds
    private let statuses: DeviceCache
    private let state: Mutex<State>

    /// Another device must be better than this part of the cost of the one chosen before.
    public static let patience = 0.8

    private struct State {
        var measurements: Measurements?
        var pins: [String: String] = [:]
        var kept: [Bucket: String] = [:]
    }

    /// A class of work and its size by powers of two.
    private struct Bucket: Hashable {
        let type: OperationType
        let exponent: Int

        init(_ profile: OperationProfile) {
            type = profile.type
            exponent = profile.work >= 1 && profile.work.isFinite ? Int(profile.work.exponent) : 0
        }
    }

    /// `statuses` says which devices are available; nil asks them, and believes each for 30 seconds.
    public init(
        devices: [any Device], thresholds: DeviceThresholds = DeviceThresholds(), measurements: Measurements? = nil,
        statuses: DeviceCache? = nil
    ) {
        self.devices = devices
        self.thresholds = thresholds
        self.statuses = statuses ?? DeviceCache(devices: { devices })
        state = Mutex(State(measurements: measurements))
    }

    /// What the rule goes by; nil leaves the table alone. Setting it forgets the devices chosen before.
    public var measurements: Measurements? {
        get { state.withLock { $0.measurements } }
        set {
            state.withLock {
                $0.measurements = newValue
                $0.kept = [:]
            }
            Generation.advance()
        }
    }

    /// The device for an operation, and why. A failure gives each device's reason where none runs it.
    public func selectDevice(_ profile: OperationProfile) throws -> Choice { try first(decide(profile, keeping: true)) }

    /// The device for an operation, then those to try where it fails: by cost, or by the table, ending in CPUs. What costs
    /// more than a CPU is left out. Empty where no device runs the operation.
    public func fallbackChain(_ profile: OperationProfile) -> [Choice] { decide(profile, keeping: true).chain }

    /// What would be chosen and what speaks for and against each device. Keeps nothing in mind.
    public func explain(_ profile: OperationProfile) -> Explanation { decide(profile, keeping: false) }

    /// Has an op or an operation type run on one device, by their names. An op's pin goes before its type's.
    public func pin(_ name: String, to device: String) throws {
        let key = try pinned(name)
        guard devices.contains(where: { $0.name == device }) else {
            let names = devices.map { "'\($0.name)'" }.joined(separator: ", ")
            throw Failure(.invalidArgument, "There is no device '\(device)' to choose from; there are \(names).")
        }
        state.withLock { $0.pins[key] = device }
        Generation.advance()
    }

    /// Leaves an op or an operation type to the rule again.
    public func unpin(_ name: String) throws {
        let key = try pinned(name)
        state.withLock { _ = $0.pins.removeValue(forKey: key) }
        Generation.advance()
    }

    private func pinned(_ name: String) throws -> String {
        if let op = OpTable[name] { return op.name }
        if let type = OperationType(name: name) { return type.rawValue }
        throw Failure(
            .invalidArgument, "'\(name)' is neither an op of the table nor an operation type; it cannot be pinned.")
    }

    private func first(_ explanation: Explanation) throws -> Choice {
        if let choice = explanation.chain.first { return choice }
        let reasons = explanation.candidates.map { "\($0.device.name): \($0.words)" }.joined(separator: "; ")
        throw Failure(.unsupported, "No device runs \(explanation.profile.words). \(reasons)")
    }

    private func decide(_ profile: OperationProfile, keeping: Bool) -> Explanation {
        let judged = devices.map { Candidate($0, standing($0, profile), nil) }
        return state.withLock { state in
            let pin = profile.op.flatMap { state.pins[$0] } ?? state.pins[profile.type.rawValue]
            var decision = Decision(profile, judged, thresholds, state.measurements, pin: pin)
            let bucket = Bucket(profile)
            decision.choose(before: state.kept[bucket])
            if keeping, decision.basis == .measured { state.kept[bucket] = decision.chosen?.device.name }
            return decision.explanation
        }
    }

    private func standing(_ device: any Device, _ profile: OperationProfile) -> Standing {
        if case .unavailable(let reason) = statuses.status(of: device) { return .unavailable(reason) }
        guard device.kind != .coreml || profile.type.mayUseCoreML else {
            return .refused("\(profile.type.rawValue) goes to Metal or a CPU, never to Core ML.")
        }
        if let reason = device.refusal(of: profile) { return .refused(reason) }
        return device.changesResults ? .byName : .eligible
    }
}

/// A device that was chosen, with the reason in words.
public struct Choice: Sendable {
    public let device: any Device
    public let reason: String
    public let basis: Basis
    /// Expected seconds, where they were measured.
    public let seconds: Double?

    public enum Basis: String, Sendable {
        /// The table of small, medium and large.
        case prior
        case measured
        case pinned
    }
}

/// How a device stands to an operation.
public enum Standing: Sendable, Hashable {
    case eligible
    /// Its numeric mode changes results: only a pin takes it.
    case byName
    case refused(String)
    case unavailable(String)
}

/// A device with all that was held for and against it.
public struct Candidate: Sendable {
    public let device: any Device
    public let standing: Standing
    /// Expected seconds, where they were measured.
    public let seconds: Double?

    init(_ device: any Device, _ standing: Standing, _ seconds: Double?) {
        (self.device, self.standing, self.seconds) = (device, standing, seconds)
    }

    /// The standing in words.
    public var words: String {
        switch standing {
        case .eligible: seconds.map { "measured: \(duration($0))" } ?? "not measured"
        case .byName: "its numeric mode changes results; it is taken only when pinned"
        case .refused(let reason): "refused: \(unended(reason))"
        case .unavailable(let reason): "not available: \(unended(reason))"
        }
    }
}

/// A decision with all that led to it.
public struct Explanation: Sendable {
    public let profile: OperationProfile
    public let size: DeviceThresholds.Size
    /// The choice, then the devices to try where it fails; empty where no device runs the operation.
    public let chain: [Choice]
    /// Every device, in the selector's order.
    public let candidates: [Candidate]
}

/// The rule at work on one profile.
private struct Decision {
    let profile: OperationProfile
    let candidates: [Candidate]
    let thresholds: DeviceThresholds
    let pin: String?
    private(set) var chosen: Candidate?
    private(set) var basis = Choice.Basis.prior
    private var order: [Candidate] = []
    private var kept = false

    init(
        _ profile: OperationProfile, _ judged: [Candidate], _ thresholds: DeviceThresholds,
        _ measurements: Measurements?, pin: String?
    ) {
        (self.profile, self.thresholds, self.pin) = (profile, thresholds, pin)
        candidates = judged.map { candidate in
            guard candidate.standing == .eligible || candidate.standing == .byName else { return candidate }
            return Candidate(
                candidate.device, candidate.standing, measurements?.seconds(profile, on: candidate.device))
        }
    }

    /// Orders what is eligible and takes the first, the pinned one, or the one chosen before.
    mutating func choose(before: String?) {
        let eligible = candidates.filter { $0.standing == .eligible }
        let ranked = eligible.stablySorted { rank($0) < rank($1) }
        let worthy = ranked.filter { mayRun($0.device.kind) }
        // Without a CPU even small work goes where it can.
        let table = worthy.isEmpty ? ranked : worthy
        if table.first?.seconds != nil {
            order = eligible.filter { $0.seconds != nil }.stablySorted { cost($0) < cost($1) }
            basis = .measured
            order += table.filter { $0.seconds == nil }
        } else {
            order = table
        }
        chosen = order.first
        if basis == .measured { keep(before) }
        if let pinned = candidates.first(where: { $0.device.name == pin }), pinned.isUsable {
            (chosen, basis, kept) = (pinned, .pinned, false)
        }
    }

    /// Stays with the device chosen before unless another is clearly better.
    private mutating func keep(_ name: String?) {
        guard let best = chosen, let before = order.first(where: { $0.device.name == name && $0.seconds != nil }),
            before.device.name != best.device.name, cost(best) >= SmartDeviceSelector.patience * cost(before)
        else { return }
        (chosen, kept) = (before, true)
    }

    private func mayRun(_ kind: DeviceKind) -> Bool { thresholds.admits(kind, profile) }

    /// The table's order: Core ML where it is admitted, then Metal, then CPUs.
    private func rank(_ candidate: Candidate) -> Int {
        switch candidate.device.kind {
        case .coreml: 0
        case .metal: 1
        case .cpu: 2
        }
    }

    private func cost(_ candidate: Candidate) -> Double { candidate.seconds ?? .infinity }

    var explanation: Explanation {
        Explanation(
            profile: profile, size: thresholds.size(of: profile), chain: chain, candidates: candidates)
    }

    /// The choice, the others in order; behind a CPU only CPUs, since it runs whatever the rest would.
    private var chain: [Choice] {
        guard let chosen else { return [] }
        var reachedCPU = false
        let devices = ([chosen] + order.filter { $0.device.name != chosen.device.name }).filter { candidate in
            defer { reachedCPU = reachedCPU || candidate.device.kind == .cpu }
            return !reachedCPU || candidate.device.kind == .cpu
        }
        return devices.enumerated().map { index, candidate in
            index == 0
                ? Choice(device: candidate.device, reason: reason, basis: basis, seconds: candidate.seconds)
                : Choice(
                    device: candidate.device, reason: "fallback: \(candidate.words)",
                    basis: candidate.seconds == nil ? .prior : .measured, seconds: candidate.seconds)
        }
    }

    private var reason: String {
        guard let chosen else { return "" }
        let unused = pin.flatMap { name in
            candidates.first { $0.device.name == name && !$0.isUsable }.map {
                "pinned to \(name), which is \($0.words); "
            }
        }
        switch basis {
        case .pinned:
            let changes = chosen.device.changesResults ? ", whose numeric mode changes results" : ""
            return "pinned: \(profile.op ?? profile.type.rawValue) runs on \(chosen.device.name)\(changes)"
        case .measured: return (unused ?? "") + "measured: " + measuredWords(chosen)
        case .prior where onlyCPUs:
            // `explain` and the list of devices have the reasons why others are not there.
            return (unused.map { $0 + "\(chosen.device.name) is " } ?? "") + "the only kind of device here"
        case .prior: return (unused ?? "") + "prior: " + priorWords(chosen)
        }
    }

    private func measuredWords(_ chosen: Candidate) -> String {
        let costs = candidates.filter { $0.standing == .eligible }.compactMap { candidate in
            candidate.seconds.map { "\(candidate.device.name) \(duration($0))" }
        }
        let stays = kept ? "; \(chosen.device.name) was chosen before and none is better by more than 20 %" : ""
        return costs.joined(separator: ", ") + stays
    }

    /// The table's row and column, then why each device it names did not come to be.
    private func priorWords(_ chosen: Candidate) -> String {
        let size = thresholds.size(of: profile)
        let wanted = [DeviceKind.coreml, .metal, .cpu].filter(mayRun)
        let skipped = wanted.prefix { $0 != chosen.device.kind }.map { kind in
            "; "
                + (candidates.first { $0.device.kind == kind }.map { "\(kind.title) is \($0.words)" }
                    ?? "\(kind.title) is not among the devices")
        }
        let taken = skipped.isEmpty ? "" : "; \(chosen.device.name) runs it"
        return "\(profile.elements) elements are \(size.rawValue): \(wanted.first?.title ?? "CPU")"
            + skipped.joined() + taken
    }

    private var onlyCPUs: Bool {
        candidates.allSatisfy {
            if case .unavailable = $0.standing { return true }
            return $0.device.kind == .cpu
        }
    }
}

extension Candidate {
    /// Whether it can run the operation, if only by name.
    fileprivate var isUsable: Bool { standing == .eligible || standing == .byName }
}

extension OperationProfile {
    /// The profile in words: `matmul [512, 512] fp32`.
    public var words: String { "\(op ?? type.rawValue) \(shape) \(dtype.name)" }
}

extension Array {
    /// Sorted; equal elements keep their order, which Swift's sort does not promise.
    fileprivate func stablySorted(_ areInOrder: (Element, Element) -> Bool) -> [Element] {
        enumerated().sorted {
            areInOrder($0.element, $1.element) || (!areInOrder($1.element, $0.element) && $0.offset < $1.offset)
        }
        .map(\.element)
    }
}

/// A reason without its full stop, to stand inside a longer sentence.
private func unended(_ reason: String) -> Substring { reason.hasSuffix(".") ? reason.dropLast() : reason[...] }

/// Seconds in the unit that suits them, to two significant digits: `0.8 µs`, `12 ms`.
func duration(_ seconds: Double) -> String {
    // Microseconds begin early: that is what starting an operation takes.
    let units: [(least: Double, unit: Double, name: String)] = [
        (1, 1, "s"), (1e-3, 1e-3, "ms"), (1e-7, 1e-6, "µs"), (0, 1e-9, "ns"),
    ]
    let (_, unit, name) = units.first { seconds >= $0.least } ?? (0, 1, "s")
    let value = seconds / unit
    guard value.isFinite, value < 1e15 else { return "\(seconds) s" }
    return value >= 10 ? "\(Int(value.rounded())) \(name)" : "\((value * 10).rounded() / 10) \(name)"
}
