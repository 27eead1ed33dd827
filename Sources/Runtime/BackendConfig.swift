import MIL

/// What a backend keeps and how it behaves where a device refuses. A running backend takes a new one at once.
public struct BackendConfig: Sendable, Hashable {
    /// What happens where a device does not run an operation.
    public enum FallbackMode: String, Sendable, Hashable, CaseIterable {
        /// The next device of the chain takes it; counted, and told at level `info`.
        case allow
        /// Likewise, told at level `warning`.
        case warn
        /// The operation fails with the device, the op and the reason.
        case error
    }

    /// Whether compiled functions are kept.
    public var enableCaching: Bool
    /// How many compiled functions are kept at most.
    public var maxCacheSize: Int
    /// How many bytes the kept ones may have together.
    public var maxCacheBytes: Int
    /// Whether another device may take what one refuses. Off, it is as mode `error`.
    public var autoFallback: Bool
    public var fallbackMode: FallbackMode
    /// Whether every run is recorded, step by step, in the backend's profile.
    public var enableProfiling: Bool

    public init(
        enableCaching: Bool = true, maxCacheSize: Int = 1000, maxCacheBytes: Int = 100 << 20,
        enableProfiling: Bool = false, autoFallback: Bool = true, fallbackMode: FallbackMode = .allow
    ) {
        (self.enableCaching, self.maxCacheSize, self.maxCacheBytes) = (enableCaching, maxCacheSize, maxCacheBytes)
        (self.autoFallback, self.fallbackMode) = (autoFallback, fallbackMode)
        self.enableProfiling = enableProfiling
    }

    /// Whether another device may take what one refuses.
    public var mayFallBack: Bool { autoFallback && fallbackMode != .error }

    /// Fails where a limit is negative.
    public func check() throws {
        guard maxCacheSize >= 0, maxCacheBytes >= 0 else {
            throw Failure(
                .invalidArgument,
                "The cache limits are \(maxCacheSize) entries and \(maxCacheBytes) bytes; neither may be negative.")
        }
    }
}
