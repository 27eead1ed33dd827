import Foundation

/// The processors that a model may use.
public enum MLComputeUnits: Int, Sendable {
    case cpuOnly = 0
    case cpuAndGPU = 1
    case all = 2
    case cpuAndNeuralEngine = 3
}

/// What Core ML may prepare for.
public struct MLOptimizationHints: Equatable, Sendable {
    public enum ReshapeFrequency: Int, Sendable {
        case frequent = 0
        case infrequent = 1
    }

    public enum SpecializationStrategy: Int, Sendable {
        case `default` = 0
        case fastPrediction = 1
    }

    public var reshapeFrequency = ReshapeFrequency.frequent
    public var specializationStrategy = SpecializationStrategy.default

    public init() {}
}

/// A name of a setting.
open class MLKey: NSObject, NSCopying {
    private let word: String
    private let place: String?

    init(_ name: String, scope: String?) {
        word = name
        place = scope
    }

    open var name: String { word }
    open var scope: String? { place }
    open func copy(with zone: NSZone? = nil) -> Any { self }
}

@available(*, unavailable) extension MLKey: @unchecked Sendable {}

/// A name of a parameter of a model.
open class MLParameterKey: MLKey {
    open func scoped(to scope: String) -> MLParameterKey { MLParameterKey(name, scope: scope) }
}

/// How a model is loaded.
open class MLModelConfiguration: NSObject, NSCopying {
    open var modelDisplayName: String?
    open var computeUnits = MLComputeUnits.all
    open var optimizationHints = MLOptimizationHints()
    open var allowLowPrecisionAccumulationOnGPU = false
    open var preferredMetalDevice: (any MTLDevice)?
    open var parameters: [MLParameterKey: Any]?
    open var functionName: String?

    public override init() { super.init() }

    open func copy(with zone: NSZone? = nil) -> Any {
        let copy = MLModelConfiguration()
        copy.modelDisplayName = modelDisplayName
        copy.computeUnits = computeUnits
        copy.optimizationHints = optimizationHints
        copy.allowLowPrecisionAccumulationOnGPU = allowLowPrecisionAccumulationOnGPU
        copy.preferredMetalDevice = preferredMetalDevice
        copy.parameters = parameters
        copy.functionName = functionName
        return copy
    }
}

@available(*, unavailable) extension MLModelConfiguration: @unchecked Sendable {}

/// How a prediction is made.
open class MLPredictionOptions: NSObject {
    @available(*, deprecated, message: "Use MLModelConfiguration.computeUnits.")
    open var usesCPUOnly = false
    /// Memory that outputs may be written to; whether it was taken shows in the identity of the result.
    open var outputBackings: [String: Any] = [:]

    public override init() { super.init() }
}

@available(*, unavailable) extension MLPredictionOptions: @unchecked Sendable {}
