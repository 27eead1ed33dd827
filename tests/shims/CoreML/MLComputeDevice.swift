import Foundation
import ShimControl

/// What runs models.
public protocol MLComputeDeviceProtocol: NSObjectProtocol {}

open class MLCPUComputeDevice: NSObject, MLComputeDeviceProtocol, @unchecked Sendable {
    static let shared = MLCPUComputeDevice(number: 0)
    init(number: Int) { super.init() }
}

open class MLGPUComputeDevice: NSObject, MLComputeDeviceProtocol, @unchecked Sendable {
    static let shared = MLGPUComputeDevice(number: 0)
    init(number: Int) { super.init() }
    open var metalDevice: (any MTLDevice)! { MTLCreateSystemDefaultDevice() }
}

open class MLNeuralEngineComputeDevice: NSObject, MLComputeDeviceProtocol, @unchecked Sendable {
    static let shared = MLNeuralEngineComputeDevice(number: 0)
    init(number: Int) { super.init() }
    open var totalCoreCount: Int { 16 }
}

/// One of the processors that Core ML knows.
public enum MLComputeDevice: Sendable, Hashable, CustomStringConvertible {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)

    /// All processors of this machine, without those that a test took away.
    public static var allComputeDevices: [MLComputeDevice] {
        let present = [processor(.cpu)] + [.gpu, .neuralEngine].filter(isPresent).map(processor)
        return ShimControl.isHostile ? present.reversed() : present
    }

    public var description: String {
        switch self {
        case .cpu(let device): device.description
        case .gpu(let device): device.description
        case .neuralEngine(let device): device.description
        }
    }
}

/// The three sorts of processors, without their objects.
enum Processor: Hashable {
    case cpu, gpu, neuralEngine
}

extension MLComputeDevice {
    static func processor(_ processor: Processor) -> MLComputeDevice {
        switch processor {
        case .cpu: .cpu(.shared)
        case .gpu: .gpu(.shared)
        case .neuralEngine: .neuralEngine(.shared)
        }
    }

    static func isPresent(_ processor: Processor) -> Bool {
        switch processor {
        case .cpu: true
        case .gpu: (ShimControl.value("gpu_absent") ?? 0) == 0
        case .neuralEngine: (ShimControl.value("neural_engine_absent") ?? 0) == 0
        }
    }
}

extension MLComputeUnits {
    /// The processors that these units allow and this machine has, the one Core ML likes best first.
    var processors: [Processor] {
        let wanted: [Processor] =
            switch self {
            case .cpuOnly: [.cpu]
            case .cpuAndGPU: [.gpu, .cpu]
            case .all: [.neuralEngine, .gpu, .cpu]
            case .cpuAndNeuralEngine: [.neuralEngine, .cpu]
            }
        return wanted.filter(MLComputeDevice.isPresent)
    }
}
