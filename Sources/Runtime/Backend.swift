import MIL
import Synchronization

/// Who decides which devices are asked for a function, and in what order.
public protocol DeviceChoosing: Sendable {
    /// The devices to ask, the best first, each with the reason for its place.
    func fallbackChain(for function: Function) throws -> [(device: any Device, reason: String)]
    /// The selector behind it, where there is one.
    var selector: SmartDeviceSelector? { get }
}

extension DeviceChoosing {
    public var selector: SmartDeviceSelector? { nil }
}

/// The devices in the order given, whatever the function.
public struct GivenOrder: DeviceChoosing {
    public let devices: [any Device]

    public init(_ devices: [any Device]) { self.devices = devices }

    public func fallbackChain(for function: Function) -> [(device: any Device, reason: String)] {
        devices.enumerated().map { ($1, $0 == 0 ? "first in the order given" : "next in the order given") }
    }
}

extension SmartDeviceSelector: DeviceChoosing {
    public var selector: SmartDeviceSelector? { self }

    /// The devices that may run a whole function, by the rule for the work it mostly does.
    public func fallbackChain(for function: Function) throws -> [(device: any Device, reason: String)] {
        guard let profile = try? OperationProfile(function) else {
            let present = devices.filter { $0.availability.isAvailable && !$0.changesResults }
            return present.filter { $0.kind == .cpu }.map { ($0, "it only hands on what it is given") }
        }
        let chain = fallbackChain(profile).map { (device: $0.device, reason: $0.reason) }
        // Where no device runs it, this fails with the reason of each.
        if chain.isEmpty { _ = try selectDevice(profile) }
        return chain
    }
}

/// The chain of a selector. In front of it are the devices that the selector's table prefers but that are missing or
/// refuse, so that a backend counts them, with their reasons.
public struct NamingAbsent: DeviceChoosing {
    private let rule: SmartDeviceSelector
    public var selector: SmartDeviceSelector? { rule }

    public init(_ selector: SmartDeviceSelector) { rule = selector }

    public func fallbackChain(for function: Function) throws -> [(device: any Device, reason: String)] {
        let chain = try rule.fallbackChain(for: function)
        guard let chosen = chain.first?.device, let profile = try? OperationProfile(function) else { return chain }
        let order: [DeviceKind] = [.coreml, .metal, .cpu]
        let wanted = order.prefix { $0 != chosen.kind }.filter { rule.thresholds.admits($0, profile) }
        let candidates = rule.explain(profile).candidates
        let absent = wanted.compactMap { kind in
            candidates.first { $0.device.kind == kind && !$0.isPresent }
        }
        return absent.map { (device: $0.device, reason: "wanted by the table") } + chain
    }
}

extension Candidate {
    /// Whether it is here and takes the operation.
    fileprivate var isPresent: Bool {
        switch standing {
        case .eligible, .byName: true
        case .refused, .unavailable: false
        }
    }
}

/// A device that did not take a function, and why.
public struct Refusal: Sendable, Hashable {
    public let device: String
    public let reason: String

    public init(device: String, reason: String) { (self.device, self.reason) = (device, reason) }
}

/// Compiles functions for the best device that takes them, keeps what was compiled, and counts. Threads share it.
///
///     let backend = Backend(chooser: selector)
///     let results = try backend.run(function, [a, b])
///
/// Its devices are asked along the chooser's chain. One that refuses is left out, counted and named with its reason; with
/// fallback off the operation fails instead. Failures that are the caller's, such as a wrong shape, never fall back.
public final class Backend: Sendable {
    private let chooser: any DeviceChoosing
    private let disk: DiskCache?
    private let cache: ExecutableCache
    private let counters = Counters()
    private let settings: Mutex<BackendConfig>
    /// What a run needs of the settings, readable without a lock.
    private let flags: Atomic<UInt8>
    /// What runs left since profiling was enabled.
    public let profile = Profile()

    private static let caches: UInt8 = 1
    private static let fallsBack: UInt8 = 2
    private static let profiles: UInt8 = 4

    /// A backend for the devices of a chooser; `disk` keeps what devices store between processes, nil nothing.
    public init(
        chooser: any DeviceChoosing, config: BackendConfig = BackendConfig(),
        keeping disk: DiskCache? = DiskCache.standard
    ) {
        self.chooser = chooser
        self.disk = disk
        settings = Mutex(config)
        flags = Atomic(Backend.flags(config))
        cache = ExecutableCache(Backend.limits(config))
    }

    /// A backend for devices in the order given.
    public convenience init(
        devices: [any Device], config: BackendConfig = BackendConfig(), keeping disk: DiskCache? = DiskCache.standard
    ) {
        self.init(chooser: GivenOrder(devices), config: config, keeping: disk)
    }

    public var config: BackendConfig { settings.withLock { $0 } }

    /// Takes new settings at once: where limits shrink, what is over them is given up before this returns.
    public func configure(_ config: BackendConfig) throws { try configure { $0 = config } }

    /// Changes some of the settings; no other thread changes them meanwhile. A failure leaves them as they are.
    public func configure(_ change: (inout BackendConfig) throws -> Void) throws {
        let evicted = try settings.withLock { settings in
            var config = settings
            try change(&config)
            try config.check()
            settings = config
            flags.store(Backend.flags(config), ordering: .relaxed)
            return cache.limit(Backend.limits(config))
        }
        Generation.advance()
        cache.tell(evicted)
    }

    /// The selector that it goes by; nil where its devices have a given order. What is measured or pinned there holds from
    /// the next call on.
    public var selector: SmartDeviceSelector? { chooser.selector }

    var keepsExecutables: Bool { isOn(Backend.caches) }

    public var statistics: Statistics {
        var result = counters.snapshot
        (result.cacheEntries, result.cacheBytes) = (cache.count, cache.bytes)
        return result
    }

    /// Gives up every compiled function of the cache. Those in use finish; counters stay.
    public func cleanup() {
        cache.clear()
        Generation.advance()
    }

    // MARK: Compiling

    /// The function made ready by the first device of its chain that takes it: from the cache, or compiled now.
    public func executable(for function: Function) throws -> Prepared {
        let chain = try chooser.fallbackChain(for: function)
        return try prepared(function, chain, under: chain.map(\.device.name))
    }

    /// The function made ready by a device that the caller named, and by no other.
    public func executable(for function: Function, on device: any Device) throws -> Prepared {
        try prepared(function, [(device: device, reason: "named by the caller")], under: ["on \(device.name)"])
    }

    /// What the cache holds under the names of devices, or what is compiled now.
    private func prepared(
        _ function: Function, _ chain: [(device: any Device, reason: String)], under names: [String]
    ) throws -> Prepared {
        guard isOn(Backend.caches) else {
            return Prepared(self, function, chain, nil, try compile(function, chain, after: []), wasCached: false)
        }
        let (key, memory) = key(of: function, names)
        let (compiled, wasCached) = try cache.entry(for: key) { try compile(function, chain, after: [], memory) }
        return Prepared(self, function, chain, key, compiled, wasCached: wasCached)
    }

    /// Compiles where needed, and runs.
    public func run(_ function: Function, _ inputs: [Tensor], observing observer: Observer? = nil) throws -> [Tensor] {
        try executable(for: function).run(inputs, observing: observer)
    }

    /// The first device of the function's chain that takes every operation of it, and why; nothing is compiled. Devices
    /// that failed to compile it are named in `earlier`: they are left out, and the last one is counted.
    public func device(
        for function: Function, after earlier: [Refusal] = []
    ) throws -> (device: any Device, reason: String) {
        let chain = try chooser.fallbackChain(for: function)
        if let last = earlier.last { try fallBack(earlier, in: chain, Failure(.unsupported, last.reason)) }
        var refusals = earlier
        for place in chain where !refusals.contains(where: { $0.device == place.device.name }) {
            do {
                try Backend.assess(function, on: place.device)
                if let last = earlier.last {
                    counters.tally(last.device, last.reason).count.wrappingAdd(1, ordering: .relaxed)
                }
                return place
            } catch let failure as Failure where failure.isOfDevice {
                refusals.append(Refusal(device: place.device.name, reason: failure.message))
                try fallBack(refusals, in: chain, failure)
            }
        }
        throw Backend.exhausted(function, refusals)
    }

    /// What the function does, on which devices it may run, and whether they may refuse.
    private func key(of function: Function, _ devices: [String]) -> (key: String, memory: [Storage]) {
        let (digest, memory) = function.digestByIdentity()
        return ("\(digest) \(devices.joined(separator: ",")) \(isOn(Backend.fallsBack))", memory)
    }

    private func compile(
        _ function: Function, _ chain: [(device: any Device, reason: String)], after refusals: [Refusal],
        _ memory: [Storage] = []
    ) throws -> Compiled {
        var refusals = refusals
        var only: Failure?
        for (device, reason) in chain where !refusals.contains(where: { $0.device == device.name }) {
            do {
                try Backend.assess(function, on: device)
                let start = nanoseconds()
                let executable = try device.compile(function, keeping: disk)
                Log.write(
                    .debug,
                    "'\(function.name)' was compiled for \(device.name) in \((nanoseconds() - start) / 1000) µs: \(reason)"
                )
                return Compiled(
                    executable, on: device.name, after: refusals,
                    tallies: refusals.map { counters.tally($0.device, $0.reason) }, memory: memory)
            } catch let failure as Failure where failure.isOfDevice {
                only = refusals.isEmpty ? failure : nil
                refusals.append(Refusal(device: device.name, reason: failure.message))
                try fallBack(refusals, in: chain, failure)
            }
        }
        throw only ?? Backend.exhausted(function, refusals)
    }

    /// Fails where an operation is not one of the device's, or where the device is not here.
    private static func assess(_ function: Function, on device: any Device) throws {
        if case .unavailable(let reason) = device.availability { throw Failure(.unsupported, reason) }
        var known: Set<String> = []
        for operation in function.allOperations {
            let call = try Call(operation, in: function)
            guard case .refused(let reason) = device.assess(call), known.insert(operation.op).inserted else { continue }
            throw Failure(.unsupported, "'\(operation.op)': \(reason)")
        }
    }

    /// Tells of the last refusal or, where there shall be no fallback, fails with it.
    private func fallBack(
        _ refusals: [Refusal], in chain: [(device: any Device, reason: String)], _ failure: Failure
    ) throws {
        guard let last = refusals.last, chain.last?.device.name != last.device else { return }
        guard isOn(Backend.fallsBack) else { throw Backend.refused(last, failure.kind) }
        let level: Log.Level = config.fallbackMode == .warn ? .warning : .info
        Log.write(level, "\(last.device) refused, the next device is asked: \(last.reason)")
    }

    private static func refused(_ refusal: Refusal, _ kind: Failure.Kind = .unsupported) -> Failure {
        Failure(
            kind,
            "The device '\(refusal.device)' does not run it: \(refusal.reason) Fallback is off; with it on, another device "
                + "would be asked.")
    }

    private static func exhausted(_ function: Function, _ refusals: [Refusal]) -> Failure {
        guard !refusals.isEmpty else {
            return Failure(.unsupported, "There is no device to run '\(function.name)' on.")
        }
        let reasons = refusals.map { "\($0.device): \($0.reason)" }.joined(separator: " ")
        return Failure(.unsupported, "No device runs '\(function.name)'. \(reasons)")
    }

    // MARK: Running

    fileprivate func run(_ prepared: Prepared, _ inputs: [Tensor], _ observer: Observer?) throws -> [Tensor] {
        var compiled = prepared.compiled.current
        while true {
            if let refusal = compiled.refusals.last, !isOn(Backend.fallsBack) { throw Backend.refused(refusal) }
            do {
                let start = nanoseconds()
                let results = try compiled.executable.recorded(
                    inputs, as: prepared.function.name, because: prepared.reason(of: compiled),
                    in: isOn(Backend.profiles) ? profile : nil, observing: observer)
                count(compiled, nanoseconds() &- start)
                return results
            } catch let failure as Failure where failure.isOfDevice {
                compiled = try replace(compiled, of: prepared, failure)
            }
        }
    }

    /// What the next device of the chain makes of a function whose device failed while running it.
    private func replace(_ failed: Compiled, of prepared: Prepared, _ failure: Failure) throws -> Compiled {
        let refusals = failed.refusals + [Refusal(device: failed.device, reason: failure.message)]
        let chain = try chooser.fallbackChain(for: prepared.function)
        guard chain.contains(where: { each in !refusals.contains { $0.device == each.device.name } }) else {
            throw failure
        }
        try fallBack(refusals, in: chain, failure)
        let next = try failed.replaced { try compile(prepared.function, chain, after: refusals, failed.memory) }
        if let key = prepared.key, isOn(Backend.caches) { cache.keep(next, for: key) }
        return next.current
    }

    /// Runs on memory that the caller has checked, and counts; false if the run has to take the full path: a profile is
    /// recorded, the device failed before, or it is this run's turn to be timed.
    fileprivate func runQuickly(
        _ compiled: Compiled, from inputs: UnsafePointer<UnsafeMutableRawPointer>,
        into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws -> Bool {
        let flags = flags.load(ordering: .relaxed)
        guard flags & (Backend.profiles | Backend.caches) == Backend.caches, !Profile.isActive, compiled.isQuick,
            compiled.refusals.isEmpty || flags & Backend.fallsBack != 0,
            counters.operations.load(ordering: .relaxed) % Backend.timedOnceIn != 0
        else { return false }
        do { try compiled.executable.run(from: inputs, into: outputs) } catch let failure as Failure
            where failure.isOfDevice
        { return false }
        counters.operations.wrappingAdd(1, ordering: .relaxed)
        counters.hits.wrappingAdd(1, ordering: .relaxed)
        if !compiled.refusals.isEmpty { countFallback(compiled) }
        return true
    }

    /// One in this many quick runs takes the full path instead and is timed. Not every run is: reading the clock takes
    /// as long as adding a few numbers.
    private static let timedOnceIn = 256

    private func countFallback(_ compiled: Compiled) {
        counters.fallbacks.wrappingAdd(1, ordering: .relaxed)
        for tally in compiled.tallies { tally.count.wrappingAdd(1, ordering: .relaxed) }
    }

    private func count(_ compiled: Compiled, _ nanoseconds: UInt64) {
        counters.operations.wrappingAdd(1, ordering: .relaxed)
        counters.timed.wrappingAdd(1, ordering: .relaxed)
        counters.nanoseconds.wrappingAdd(nanoseconds, ordering: .relaxed)
        if !compiled.refusals.isEmpty { countFallback(compiled) }
        guard isOn(Backend.caches) else { return }
        cache.touch(compiled)
        let isMiss = compiled.isFresh.load(ordering: .relaxed) && compiled.isFresh.exchange(false, ordering: .relaxed)
        if isMiss {
            counters.misses.wrappingAdd(1, ordering: .relaxed)
        } else {
            counters.hits.wrappingAdd(1, ordering: .relaxed)
        }
    }

    // MARK: Settings

    private func isOn(_ flag: UInt8) -> Bool { flags.load(ordering: .relaxed) & flag != 0 }

    private static func flags(_ config: BackendConfig) -> UInt8 {
        (config.enableCaching ? caches : 0) | (config.mayFallBack ? fallsBack : 0)
            | (config.enableProfiling ? profiles : 0)
    }

    private static func limits(_ config: BackendConfig) -> ExecutableCache.Limits {
        config.enableCaching
            ? .init(entries: max(config.maxCacheSize, 0), bytes: max(config.maxCacheBytes, 0))
            : .init(entries: 0, bytes: 0)
    }
}

/// A function made ready on a backend: keep it and run it as often as you like; every run counts.
public final class Prepared: Sendable {
    public let backend: Backend
    public let function: Function
    /// Whether it was there already.
    public let wasCached: Bool
    /// The devices as they were chosen when this was prepared; what was compiled may be older.
    private let chain: [(device: any Device, reason: String)]
    fileprivate let key: String?
    fileprivate let compiled: Compiled

    fileprivate init(
        _ backend: Backend, _ function: Function, _ chain: [(device: any Device, reason: String)], _ key: String?,
        _ compiled: Compiled, wasCached: Bool
    ) {
        self.backend = backend
        self.function = function
        self.chain = chain
        self.key = key
        self.compiled = compiled
        self.wasCached = wasCached
    }

    public var executable: any Executable { compiled.current.executable }
    public var device: String { compiled.current.device }
    /// Why this device.
    public var reason: String { reason(of: compiled.current) }
    fileprivate func reason(of compiled: Compiled) -> String {
        chain.first { $0.device.name == compiled.device }?.reason ?? ""
    }
    /// The devices asked before it, and why they refused.
    public var fallbacks: [Refusal] { compiled.current.refusals }
    /// False once the cache evicted it: a caller that keeps it should ask the backend again, so that memory is freed.
    public var isCurrent: Bool { !compiled.isEvicted.load(ordering: .relaxed) }

    /// Runs it on memory that the caller has checked; false where `run` has to do it.
    func runQuickly(
        from inputs: UnsafePointer<UnsafeMutableRawPointer>, into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws -> Bool {
        try backend.runQuickly(compiled, from: inputs, into: outputs)
    }

    /// Runs it, counts the run and, where its device fails, goes on with the next one.
    public func run(_ inputs: [Tensor], observing observer: Observer? = nil) throws -> [Tensor] {
        try backend.run(self, inputs, observer)
    }
}

extension Failure {
    /// Whether another device might do what this one did not; other failures are the caller's.
    public var isOfDevice: Bool { kind == .unsupported || kind == .outOfMemory }
}

extension Backend {
    /// The backend as a device, so that whatever takes a device runs along the fallback chain and is counted.
    public var device: any Device { BackendDevice(backend: self) }
}

private struct BackendDevice: Device {
    let backend: Backend
    let name = "backend"
    let kind = DeviceKind.cpu
    let summary = "the devices of a backend, along its fallback chain"
    let availability = Availability.available

    func assess(_ call: Call) -> Verdict { .native }

    func compile(_ function: Function) throws -> any Executable {
        BackendExecutable(try backend.executable(for: function))
    }
}

/// A prepared function in the form of any other executable. Its backend records its runs.
struct BackendExecutable: Executable {
    private let prepared: Prepared

    init(_ prepared: Prepared) { self.prepared = prepared }

    var inputs: [Port] { prepared.executable.inputs }
    var outputs: [Port] { prepared.executable.outputs }
    var plan: Plan {
        var plan = prepared.executable.plan
        (plan.device, plan.reason) = (prepared.device, prepared.reason)
        return plan
    }

    var place: (device: String, reason: String) { (prepared.device, prepared.reason) }
    var footprint: Int { prepared.executable.footprint }

    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
        try prepared.run(inputs, observing: observer)
    }
}
