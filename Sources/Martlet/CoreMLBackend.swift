// The backend by its public name, and the one behind eager calls.

/// Compiles programs for the best device there is, keeps what was compiled, and counts.
///
///     let backend = try CoreMLBackend(CoreMLBackendConfig(maxCacheSize: 200))
///     let results = try backend.run(function, [a, b])
///     print(backend.statistics.cacheHits)
public typealias CoreMLBackend = Backend

/// What a `CoreMLBackend` keeps, and how it behaves where a device refuses.
public typealias CoreMLBackendConfig = BackendConfig

extension Backend {
    /// What stands behind tensors whose operations name no backend: it goes by the smart selector, among the devices
    /// that are here.
    public static let shared = Backend(chooser: SmartDeviceSelector())

    /// A backend that goes by the smart selector: small work to the CPU, medium to Metal, large to Core ML, until
    /// measurements say otherwise. Where the device that was wanted is missing or refuses, that is a counted fallback.
    public static func coreML(_ config: BackendConfig = BackendConfig()) -> Backend {
        Backend(chooser: NamingAbsent(SmartDeviceSelector()), config: config)
    }

    /// The same for settings that are not known to be right: fails where a cache limit is negative.
    public convenience init(_ config: BackendConfig = BackendConfig()) throws {
        try config.check()
        self.init(chooser: NamingAbsent(SmartDeviceSelector()), config: config)
    }
}
