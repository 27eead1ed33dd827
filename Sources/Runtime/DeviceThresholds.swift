import MIL

/// The sizes from which starting a kind of device pays off. They hold until measurements replace them.
public struct DeviceThresholds: Sendable, Hashable {
    /// Elements from which Core ML is taken.
    public var coremlMinSize: Int
    /// Elements up to which Core ML is taken; what is larger goes to the GPU.
    public var coremlMaxSize: Int
    /// Elements from which the GPU is taken.
    public var metalMinSize: Int
    /// Bytes from which the GPU is taken.
    public var gpuMinMemory: Int

    public init(
        coremlMinSize: Int = 1024, coremlMaxSize: Int = 1_048_576, metalMinSize: Int = 256, gpuMinMemory: Int = 4096
    ) {
        self.coremlMinSize = coremlMinSize
        self.coremlMaxSize = coremlMaxSize
        self.metalMinSize = metalMinSize
        self.gpuMinMemory = gpuMinMemory
    }

    /// Fails where a threshold is negative or Core ML's smallest size lies above its largest.
    public func check() throws {
        guard [coremlMinSize, coremlMaxSize, metalMinSize, gpuMinMemory].allSatisfy({ $0 >= 0 }) else {
            throw Failure(.outOfRange, "A threshold is negative; elements and bytes count from 0.")
        }
        guard coremlMinSize <= coremlMaxSize else {
            throw Failure(
                .invalidArgument,
                "coreml_min_size is \(coremlMinSize) and coreml_max_size \(coremlMaxSize); "
                    + "the smallest may not be above the largest.")
        }
    }

    /// How large a profile is.
    public func size(of profile: OperationProfile) -> Size {
        if profile.elements > coremlMaxSize { return .huge }
        if profile.elements >= coremlMinSize { return .large }
        return fillsGPU(profile) ? .medium : .small
    }

    /// Whether starting a kind of device pays off for a profile.
    public func admits(_ kind: DeviceKind, _ profile: OperationProfile) -> Bool {
        switch kind {
        case .cpu: true
        case .metal: fillsGPU(profile)
        case .coreml: profile.type.mayUseCoreML && size(of: profile) == .large
        }
    }

    private func fillsGPU(_ profile: OperationProfile) -> Bool {
        profile.elements >= metalMinSize && profile.memoryFootprint >= gpuMinMemory
    }

    /// The columns of the table that holds before anything is measured.
    public enum Size: String, Sendable, CaseIterable {
        case small, medium, large
        /// Above what Core ML takes.
        case huge = "very large"
    }
}

extension OperationType {
    /// Complex, distribution, custom and distributed operations go from the GPU to the CPU, never to Core ML.
    public var mayUseCoreML: Bool {
        switch self {
        case .matrixMultiplication, .activation, .convolution, .elementWise: true
        case .complexNumber, .statisticalDistribution, .customKernel, .distributedOperation: false
        }
    }
}
