import CPUEngine
import CoreMLEngine
import MetalEngine

// The one place that lists the engines.

/// Every device Martlet knows, the ones this machine lacks included.
public func allDevices() -> [any Device] { CPUDevice.all + MetalDevice.all + CoreMLDevice.all }

/// The device of a name; nil takes the first one that is available. A failure lists the names there are.
public func device(named name: String? = nil) throws -> any Device {
    let devices = allDevices()
    guard let name else {
        guard let first = devices.first(where: \.availability.isAvailable) else {
            throw Failure(.unsupported, "No device is available on this machine.")
        }
        return first
    }
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
