extension Backend {
    /// What stands behind tensors whose operations name no backend: it goes by the smart selector, among the devices
    /// that are here.
    public static let shared = Backend(chooser: selector())

    /// A backend that goes by the smart selector: small work to the CPU, medium to Metal, large to Core ML, until
    /// measurements say otherwise. Where the device that was wanted is missing or refuses, that is a counted fallback.
    public static func coreML(_ config: BackendConfig = BackendConfig()) -> Backend {
        Backend(chooser: NamingAbsent(selector()), config: config)
    }

    private static func selector() -> SmartDeviceSelector {
        SmartDeviceSelector(
            devices: allDevices(), measurements: Measurements.stored().measurements, statuses: .global)
    }
}
