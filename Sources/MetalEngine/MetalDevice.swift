import MIL
import Runtime

#if canImport(Metal)
    import Metal
#endif

/// The GPU of Apple's systems. It says whether the hardware is there; running programs on it comes in a later version.
public struct MetalDevice: Device {
    public static let all: [any Device] = [MetalDevice()]

    private static let refusal = "The Metal engine comes in a later version; the device 'cpu' runs this op."

    public let name = "metal"
    public let kind = DeviceKind.metal

    /// Bytes that the GPU works with well; nil without a GPU.
    public var memoryLimit: Int? {
        #if canImport(Metal)
            return MTLCreateSystemDefaultDevice().map { Int(clamping: $0.recommendedMaxWorkingSetSize) }
        #else
            return nil
        #endif
    }

    public var summary: String {
        #if canImport(Metal)
            if let device = MTLCreateSystemDefaultDevice() { return "GPU \(device.name) through Metal" }
        #endif
        return "GPU through Metal"
    }

    public var availability: Availability {
        #if canImport(Metal)
            return MTLCreateSystemDefaultDevice() == nil
                ? .unavailable(reason: "This machine has no GPU that Metal can use.")
                : .unavailable(reason: "The Metal engine comes in a later version.")
        #else
            return .unavailable(reason: "Metal exists only on Apple's systems.")
        #endif
    }

    public func assess(_ call: Call) -> Verdict { .refused(reason: MetalDevice.refusal) }

    public func compile(_ function: Function) throws -> any Executable {
        throw Failure(.unsupported, MetalDevice.refusal)
    }
}
