import CPUEngine
import CoreMLEngine
import MetalEngine

// The one place that lists the engines.

/// Every device Martlet knows, the ones this machine lacks included.
public func allDevices() -> [any Device] { CPUDevice.all + MetalDevice.all + CoreMLDevice.all }

/// What this machine has to run programs on.
public enum DeviceManager {
    /// Every device Martlet knows, the ones this machine lacks included: each says whether it is available, and why not.
    public static var devices: [any Device] { allDevices() }

    /// The devices that can be used here; each is believed for 30 seconds, as `DeviceCache` does.
    public static var availableDevices: [any Device] {
        allDevices().filter { DeviceCache.global.status(of: $0).isAvailable }
    }

    /// Whether Core ML can be used here.
    public static func isCoreMLAvailable() -> Bool { has(.coreml) }

    /// Whether Metal can be used here.
    public static func isMetalAvailable() -> Bool { has(.metal) }

    private static func has(_ kind: DeviceKind) -> Bool { availableDevices.contains { $0.kind == kind } }
}

/// The device of a name. A failure lists the names there are, or says why that one is not available.
public func device(named name: String) throws -> any Device {
    let devices = allDevices()
    guard let device = devices.first(where: { $0.name == name }) else {
        let names = devices.map { "'\($0.name)'" }.joined(separator: ", ")
        throw Failure(.invalidArgument, "There is no device '\(name)'; there are \(names).")
    }
    if case .unavailable(let reason) = device.availability {
        throw Failure(.unsupported, "The device '\(name)' is not available: \(reason)")
    }
    return device
}

/// The device of a name as an object to pin tensors to: the same one each time.
public func pin(to name: String) throws -> Pin {
    _ = try device(named: name)
    guard let pin = pins.first(where: { $0.device.name == name }) else {
        throw Failure(.bug, "The device '\(name)' has no pin.")
    }
    return pin
}

private let pins = allDevices().map { Pin($0) }
