import MIL
import Runtime

#if canImport(CoreML)
    import CoreML
#endif

/// Apple's Core ML: all its processors together, or one kind alone. It says whether the hardware is there; running
/// programs on it comes in a later version.
public struct CoreMLDevice: Device {
    public static let all: [any Device] = Processors.allCases.map(CoreMLDevice.init)

    private static let refusal = "The Core ML engine comes in a later version; the device 'cpu' runs this op."

    /// What Core ML may use.
    public enum Processors: String, Sendable, CaseIterable {
        case all = "coreml"
        case cpu = "coreml:cpu"
        case gpu = "coreml:gpu"
        case neuralEngine = "coreml:ane"
    }

    public let processors: Processors

    public init(_ processors: Processors) { self.processors = processors }

    public var name: String { processors.rawValue }
    public let kind = DeviceKind.coreml

    /// Bytes of the memory that all of Apple's processors share; nil without Core ML.
    public var memoryLimit: Int? {
        #if canImport(Darwin)
            var bytes: UInt64 = 0
            var size = MemoryLayout<UInt64>.size
            return sysctlbyname("hw.memsize", &bytes, &size, nil, 0) == 0 ? Int(clamping: bytes) : nil
        #else
            return nil
        #endif
    }

    /// Processors that Core ML may use: CPU, GPU and Neural Engine count as one each; nil without Core ML.
    public var computeUnits: Int? {
        #if canImport(CoreML)
            return MLComputeDevice.allComputeDevices.count { isMine($0) }
        #else
            return nil
        #endif
    }

    public var summary: String {
        switch processors {
        case .all: "Core ML on the processors it chooses"
        case .cpu: "Core ML on the CPU"
        case .gpu: "Core ML on the GPU"
        case .neuralEngine: "Core ML on the Neural Engine"
        }
    }

    public var availability: Availability {
        #if canImport(CoreML)
            return isPresent
                ? .unavailable(reason: "The Core ML engine comes in a later version.")
                : .unavailable(reason: "This machine has no such processor that Core ML can use.")
        #else
            return .unavailable(reason: "Core ML exists only on Apple's systems.")
        #endif
    }

    #if canImport(CoreML)
        private var isPresent: Bool {
            MLComputeDevice.allComputeDevices.contains(where: isMine)
        }

        private func isMine(_ device: MLComputeDevice) -> Bool {
            switch (processors, device) {
            case (.all, _), (.cpu, .cpu), (.gpu, .gpu), (.neuralEngine, .neuralEngine): true
            default: false
            }
        }
    #endif

    public func assess(_ call: Call) -> Verdict { .refused(reason: CoreMLDevice.refusal) }

    public func compile(_ function: Function) throws -> any Executable {
        throw Failure(.unsupported, CoreMLDevice.refusal)
    }
}
