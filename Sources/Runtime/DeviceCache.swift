import MIL
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Which devices can be used, asked once and believed for a while: asking a GPU is slow. Safe to use from several
/// threads at a time.
public final class DeviceCache: Sendable {
    /// A clock that only goes forward, in nanoseconds.
    public typealias Clock = @Sendable () -> UInt64

    /// How long a status is believed, in nanoseconds.
    public static let lifetime: UInt64 = 30_000_000_000

    private let devices: @Sendable () -> [any Device]
    private let clock: Clock
    private let state = Mutex(State())

    private struct State {
        var entries: [String: Entry] = [:]
        var hits = 0
        var lookups = 0
    }

    private struct Entry {
        let status: Availability
        let time: UInt64
    }

    /// What the cache holds and how often it could answer by itself.
    public struct Stats: Sendable, Hashable {
        public let totalEntries: Int
        /// Entries younger than the lifetime.
        public let validEntries: Int
        /// Devices that a valid entry calls available.
        public let availableDevices: Int
        /// Answers from the cache by all questions; 0 before the first one.
        public let cacheHitRate: Double
    }

    public init(devices: @escaping @Sendable () -> [any Device], clock: @escaping Clock = { nanoseconds() }) {
        self.devices = devices
        self.clock = clock
    }

    /// Asks every device once.
    public func warmup() {
        for device in devices() { update(device.name, device.availability) }
    }

    /// Whether a device can be used; it is asked only where the cache does not know. A failure lists the names there are.
    public func isDeviceAvailable(_ name: String) throws -> Bool {
        if let status = cachedStatus(name) { return status.isAvailable }
        let devices = devices()
        guard let device = devices.first(where: { $0.name == name }) else {
            let names = devices.map { "'\($0.name)'" }.joined(separator: ", ")
            throw Failure(.invalidArgument, "There is no device '\(name)'; there are \(names).")
        }
        return ask(device).isAvailable
    }

    /// The status of a device, from the cache where it is valid.
    public func status(of device: any Device) -> Availability { cachedStatus(device.name) ?? ask(device) }

    /// The status kept for a device; nil where there is none or it is too old.
    public func cachedStatus(_ name: String) -> Availability? {
        let now = clock()
        return state.withLock { state in
            state.lookups += 1
            guard let entry = state.entries[name], isValid(entry, now) else { return nil }
            state.hits += 1
            return entry.status
        }
    }

    /// Keeps a status as of now.
    public func update(_ name: String, _ status: Availability) {
        let entry = Entry(status: status, time: clock())
        state.withLock { $0.entries[name] = entry }
    }

    /// Removes what is too old and returns how many entries that were.
    @discardableResult
    public func cleanupExpired() -> Int {
        let now = clock()
        return state.withLock { state in
            let before = state.entries.count
            state.entries = state.entries.filter { isValid($0.value, now) }
            return before - state.entries.count
        }
    }

    public func getStats() -> Stats {
        let now = clock()
        return state.withLock { state in
            let valid = state.entries.values.filter { isValid($0, now) }
            return Stats(
                totalEntries: state.entries.count, validEntries: valid.count,
                availableDevices: valid.filter(\.status.isAvailable).count,
                cacheHitRate: state.lookups == 0 ? 0 : Double(state.hits) / Double(state.lookups))
        }
    }

    /// Asked without the lock: a device may take its time.
    private func ask(_ device: any Device) -> Availability {
        let status = device.availability
        update(device.name, status)
        return status
    }

    private func isValid(_ entry: Entry, _ now: UInt64) -> Bool {
        now < entry.time || now - entry.time < DeviceCache.lifetime
    }
}

/// A clock that only goes forward, in nanoseconds.
public func nanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
}
