@_exported import Foundation

public struct MLCPUComputeDevice: Sendable, Hashable {}
public enum MLComputeDevice: Sendable, Hashable {
    case cpu(MLCPUComputeDevice)
    case gpu(MLCPUComputeDevice)
    case neuralEngine(MLCPUComputeDevice)
    public static var allComputeDevices: [MLComputeDevice] { [] }
}
