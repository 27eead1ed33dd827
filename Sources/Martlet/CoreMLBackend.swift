/// The chain of a backend that wants Core ML: Core ML, Metal, CPU. Complex numbers, distributions and custom kernels are
/// not Core ML's: they go to Metal, then to the CPU.
public struct CoreMLFirst: DeviceChoosing {
    private let devices: [any Device]

    /// The order for these devices; those of one kind stay in the order given.
    public init(_ devices: [any Device]) {
        self.devices = devices.enumerated().sorted {
            (CoreMLFirst.rank($0.element), $0.offset) < (CoreMLFirst.rank($1.element), $1.offset)
        }.map(\.element)
    }

    public func fallbackChain(for function: Function) throws -> [(device: any Device, reason: String)] {
        let isSpecial = CoreMLFirst.isSpecial(function)
        return devices.filter { !isSpecial || CoreMLFirst.rank($0) > 0 }.enumerated().map { index, device in
            let reason = isSpecial ? "Core ML has no such operations" : "the backend's order: Core ML, Metal, CPU"
            return (device, index == 0 ? reason : "\(reason); next in the chain")
        }
    }

    private static func rank(_ device: any Device) -> Int {
        let kind = (device as? DescribedDevice)?.kind ?? String(device.name.prefix { $0 != ":" })
        return ["coreml": 0, "metal": 1][kind] ?? 2
    }

    private static func isSpecial(_ function: Function) -> Bool {
        function.values.contains { $0.type.tensor?.dtype.isComplex ?? false }
            || function.allOperations.contains { $0.op.hasPrefix("random_") || $0.op.hasPrefix("custom") }
    }
}

extension Backend {
    /// A backend over Core ML, Metal and the CPU. Where Core ML is missing, that is the counted reason of each fallback.
    public static func coreML(_ config: BackendConfig = BackendConfig()) -> Backend {
        let names = ["coreml", "metal", "cpu"]
        return Backend(chooser: CoreMLFirst(allDevices().filter { names.contains($0.name) }), config: config)
    }
}
