import CPUEngine
import Foundation
import MIL
import Passes
import Runtime
import ShimControl

/// One function of a compiled model, ready to run on the CPU engine.
final class LoadedModel: @unchecked Sendable {
    let interface: Interface
    let metadata: Model.Metadata
    /// States are further inputs and outputs of it.
    private let function: Function
    /// The names of the states, in the order of the outputs that hold them after a run.
    private let states: [String]
    private let lock = NSLock()
    private var executables: [[TensorType]: any Executable] = [:]
    private var running = 0
    private var isCounted = false

    private static let loadedLock = NSLock()
    private nonisolated(unsafe) static var loaded = 0
    private nonisolated(unsafe) static var offered = 0

    init(_ compiled: () throws -> CompiledModel, _ configuration: MLModelConfiguration) throws {
        if let delay = ShimControl.value("load_delay_ms"), delay > 0 { usleep(UInt32(delay) * 1000) }
        if ShimControl.strikes("load") { throw modelError(.generic, "SHIM: loading was ordered to fail.") }
        let model = try compiled().model
        do {
            let stateful = try model.program.function(configuration.functionName)
            states = stateful.states.map { stateful[$0].name }
            function = try stateful.withoutStates()
            interface = try model.interface(configuration.functionName)
        } catch let failure as Failure {
            throw modelError(.generic, failure.message)
        }
        metadata = model.metadata
        try count()
        let types = function.inputs.map { function[$0].type.tensor }
        let fixed = types.compactMap { $0 }
        if fixed.count == types.count, fixed.allSatisfy(\.isFixed) { _ = try executable(for: fixed) }
    }

    deinit {
        guard isCounted else { return }
        LoadedModel.loadedLock.withLock { LoadedModel.loaded -= 1 }
        ShimControl.count("unloaded")
    }

    /// Apple's daemon keeps so many programs loaded and no more.
    private func count() throws {
        let limit = ShimControl.value("loaded_limit") ?? (ShimControl.isHostile ? 126 : Int.max)
        let fits = LoadedModel.loadedLock.withLock {
            guard LoadedModel.loaded < limit else { return false }
            LoadedModel.loaded += 1
            return true
        }
        guard fits else { throw modelError(.generic, "SHIM: \(limit) programs are loaded, the most there may be.") }
        isCounted = true
        ShimControl.count("loaded")
    }

    private func executable(for types: [TensorType]) throws -> any Executable {
        if let found = lock.withLock({ executables[types] }) { return found }
        do {
            let specialized = try specialize(function, inputs: types) { try LoadedModel.evaluate($0) }
            let made = try CPUDevice.declared.compile(specialized)
            lock.withLock { executables[types] = made }
            return made
        } catch let failure as Failure {
            throw modelError(.generic, "Failed to build the execution plan: \(failure.message)")
        }
    }

    private static func evaluate(_ call: Call) throws -> [Tensor]? {
        try CPUDevice.reference.compile(call.alone()).run([])
    }

    // MARK: Predictions

    /// A prediction of a model that no other thread may be using; in hostile mode that is checked.
    func alone<R>(_ body: () throws -> R) throws -> R {
        let others = lock.withLock {
            defer { running += 1 }
            return running
        }
        defer { lock.withLock { running -= 1 } }
        guard others == 0 || !ShimControl.isHostile else {
            throw modelError(.generic, "SHIM: two threads predict on one MLModel at a time.")
        }
        return try body()
    }

    func predict(
        _ input: any MLFeatureProvider, backings: [String: Any], state: MLState?
    ) throws -> any MLFeatureProvider {
        if let delay = ShimControl.value("predict_delay_ms"), delay > 0 { usleep(UInt32(delay) * 1000) }
        try failIfOrdered()
        let tensors = try interface.inputs.map { feature in
            try MLFeatureDescription(feature).tensor(from: input.featureValue(for: feature.name))
        }
        let results = try run(tensors, state)
        let outputs = try outputs(results, backings)
        ShimControl.count("predicted")
        return outputs
    }

    private func failIfOrdered() throws {
        if ShimControl.strikes("predict") { throw modelError(.generic, "SHIM: the prediction was ordered to fail.") }
        if let gone = ShimControl.value("device_gone"), gone != 0 {
            throw modelError(.generic, "SHIM: the device is gone.")
        }
    }

    /// The same on another thread. Inputs must stay as they are until the prediction is over: in hostile mode it begins
    /// late, and looks.
    func predictLater(
        _ input: any MLFeatureProvider, backings: [String: Any], state: MLState?
    ) async throws -> any MLFeatureProvider {
        let isHostile = ShimControl.isHostile
        let before = isHostile ? inputSum(input) : 0
        let sent = Sent((input, backings))
        return try await elsewhere(after: isHostile ? 2 : 0) { [self] in
            let result = try predict(sent.value.0, backings: sent.value.1, state: state)
            guard !isHostile || inputSum(sent.value.0) == before else {
                throw modelError(.generic, "SHIM: an input changed while an asynchronous prediction was using it.")
            }
            return result
        }
    }

    private func inputSum(_ input: any MLFeatureProvider) -> Int {
        var hasher = Hasher()
        for feature in interface.inputs {
            guard let array = input.featureValue(for: feature.name)?.multiArrayValue else { continue }
            array.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
        return hasher.finalize()
    }

    private func run(_ tensors: [Tensor], _ state: MLState?) throws -> [Tensor] {
        var byName = Dictionary(zip(interface.inputs.map(\.name), tensors)) { first, _ in first }
        guard let state else {
            guard states.isEmpty else {
                throw modelError(.generic, "The model has states; predict with one that its makeState() gave.")
            }
            return try run(byName)
        }
        guard state.isMade(by: self) else { throw modelError(.generic, "The state was made by another model.") }
        if ShimControl.strikes("state") { throw modelError(.generic, "SHIM: the state was ordered to fail.") }
        return try state.alone {
            for name in states { byName[name] = try state.array(name)?.tensor() }
            let results = try run(byName)
            for (name, tensor) in zip(states, results.suffix(states.count)) { state.replace(name, with: tensor) }
            return Array(results.dropLast(states.count))
        }
    }

    private func run(_ byName: [String: Tensor]) throws -> [Tensor] {
        let ordered = try function.inputs.map { id in
            guard let tensor = byName[function[id].name], let type = function[id].type.tensor else {
                throw modelError(.generic, "The input '\(function[id].name)' has no value.")
            }
            return try tensor.cast(to: type.dtype)
        }
        do {
            return try executable(for: ordered.map(\.type)).run(ordered)
        } catch let failure as Failure {
            throw modelError(.generic, "Failed to run the prediction: \(failure.message)")
        }
    }

    // MARK: Outputs

    private func outputs(_ results: [Tensor], _ backings: [String: Any]) throws -> any MLFeatureProvider {
        let names = Set(interface.outputs.map(\.name))
        for name in backings.keys.sorted() where !names.contains(name) {
            throw modelError(.featureType, "There is no output '\(name)' for an output backing.")
        }
        let byName = Dictionary(zip(function.outputs.map { function[$0].name }, results)) { first, _ in first }
        var values: [String: Any] = [:]
        for feature in interface.outputs {
            values[feature.name] = try value(feature, byName, backings[feature.name])
        }
        return try MLDictionaryFeatureProvider(dictionary: values)
    }

    private func value(_ feature: Feature, _ results: [String: Tensor], _ backing: Any?) throws -> MLFeatureValue {
        if let labelled = try classified(feature, results) { return labelled }
        guard let tensor = results[feature.name] else {
            throw modelError(.generic, "The program has no output '\(feature.name)'.")
        }
        switch feature.kind {
        case .multiArray(let array):
            return MLFeatureValue(multiArray: try multiArray(tensor, as: array.dtype, feature.name, backing))
        case .image(let image):
            return MLFeatureValue(pixelBuffer: try PixelCopy.buffer(tensor, image, feature.name, backing))
        default:
            throw modelError(.featureType, "The output '\(feature.name)' is neither a multi-array nor an image.")
        }
    }

    private func multiArray(
        _ tensor: Tensor, as dtype: DataType, _ name: String, _ backing: Any?
    ) throws -> MLMultiArray {
        guard let type = MLMultiArrayDataType(dtype) else {
            throw modelError(.featureType, "The output '\(name)' is \(dtype.name), which no multi-array holds.")
        }
        var tensor = try tensor.cast(to: dtype)
        // There are no multi-arrays of rank 0: a lone number comes in one of a single element.
        let isNumber = tensor.shape.isEmpty
        if isNumber {
            tensor = Tensor(TensorType(dtype, [1]), storage: tensor.storage, byteOffset: tensor.byteOffset)
        }
        if let backing {
            guard !isNumber else {
                throw modelError(.featureType, "The output '\(name)' is a lone number, which takes no output backing.")
            }
            guard let array = backing as? MLMultiArray, array.sizes == tensor.shape, array.dataType == type else {
                throw modelError(
                    .featureType, "The output backing of '\(name)' must be a multi-array like \(tensor.type).")
            }
            if takesBacking() {
                array.fill(from: tensor)
                return array
            }
        }
        let strides =
            ShimControl.isHostile ? MLMultiArray.padded(tensor.shape, type) : MLMultiArray.packed(tensor.shape)
        let array = MLMultiArray(own: tensor.shape, type, strides: strides)
        array.fill(from: tensor)
        return array
    }

    /// A backing is a proposal: in hostile mode every second is passed over.
    private func takesBacking() -> Bool {
        let turn = LoadedModel.loadedLock.withLock {
            LoadedModel.offered += 1
            return LoadedModel.offered
        }
        let takes = !ShimControl.isHostile || turn % 2 == 1
        ShimControl.count(takes ? "backing_taken" : "backing_refused")
        return takes
    }

    /// The label, or the probabilities, of a classifier; nil for other outputs.
    private func classified(_ feature: Feature, _ results: [String: Tensor]) throws -> MLFeatureValue? {
        guard let classifier = interface.classifier, let scores = results[classifier.scores],
            [classifier.labelFeature, classifier.probabilitiesFeature].contains(feature.name)
        else { return nil }
        let numbers = (0..<scores.count).map(scores.double)
        guard numbers.count == classifier.labels.count,
            let best = numbers.indices.max(by: { numbers[$0] < numbers[$1] })
        else { throw modelError(.generic, "The model has as many labels as it has no scores.") }
        let first = numbers.firstIndex(of: numbers[best]) ?? best
        let isLabel = feature.name == classifier.labelFeature
        switch classifier.labels {
        case .strings(let names):
            if isLabel { return MLFeatureValue(string: names[first]) }
            let pairs = zip(names, numbers).map { (AnyHashable($0), NSNumber(value: $1)) }
            return try MLFeatureValue(dictionary: Dictionary(pairs) { first, _ in first })
        case .integers(let labels):
            if isLabel { return MLFeatureValue(int64: Int64(labels[first])) }
            // Objective-C's keys are numbers of its own.
            let keys = labels.map { ShimControl.isHostile ? AnyHashable(NSNumber(value: $0)) : AnyHashable(Int64($0)) }
            let pairs = zip(keys, numbers).map { ($0, NSNumber(value: $1)) }
            return try MLFeatureValue(dictionary: Dictionary(pairs) { first, _ in first })
        }
    }
}
