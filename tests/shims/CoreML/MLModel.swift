import Foundation
import MIL
import ShimControl

/// A model that was loaded, on the CPU engine.
open class MLModel: NSObject {
    let loaded: LoadedModel
    private let settings: MLModelConfiguration

    init(_ loaded: LoadedModel, _ configuration: MLModelConfiguration) {
        self.loaded = loaded
        settings = configuration
        super.init()
    }

    private convenience init(_ compiled: () throws -> CompiledModel, _ configuration: MLModelConfiguration) throws {
        let settings = configuration.copy() as? MLModelConfiguration ?? configuration
        self.init(try LoadedModel(compiled, settings), settings)
    }

    // MARK: Loading

    public convenience init(contentsOf url: URL) throws {
        try self.init(contentsOf: url, configuration: MLModelConfiguration())
    }

    public convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        AutoreleasePools.expectOne()
        try self.init({ try CompiledModel(at: url) }, configuration)
    }

    public class func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration(),
        completionHandler handler: @escaping (Result<MLModel, any Error>) -> Void
    ) {
        let settings = Sent(configuration.copy() as? MLModelConfiguration ?? configuration)
        let handler = Sent(handler)
        DispatchQueue.global().async {
            handler.value(Result { try MLModel(contentsOf: url, configuration: settings.value) })
        }
    }

    public class func load(
        contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration()
    ) async throws -> MLModel {
        let settings = Sent(configuration.copy() as? MLModelConfiguration ?? configuration)
        return try await elsewhere { try MLModel(contentsOf: url, configuration: settings.value) }
    }

    public class func load(
        _ asset: MLModelAsset, configuration: MLModelConfiguration,
        completionHandler handler: @escaping @Sendable (MLModel?, (any Error)?) -> Void
    ) {
        let sent = Sent((asset, configuration.copy() as? MLModelConfiguration ?? configuration))
        DispatchQueue.global().async {
            do {
                handler(try MLModel(sent.value.0.compiled, sent.value.1), nil)
            } catch {
                handler(nil, error)
            }
        }
    }

    public class func load(asset: MLModelAsset, configuration: MLModelConfiguration) async throws -> MLModel {
        let sent = Sent((asset, configuration.copy() as? MLModelConfiguration ?? configuration))
        return try await elsewhere { try MLModel(sent.value.0.compiled, sent.value.1) }
    }

    // MARK: Compiling

    @available(*, deprecated, message: "Use the asynchronous form.")
    open class func compileModel(at modelURL: URL) throws -> URL { try ModelCompiler.compile(modelURL) }

    public class func compileModel(at url: URL) async throws -> URL {
        try await elsewhere { try ModelCompiler.compile(url) }
    }

    public class func compileModel(
        at url: URL, completionHandler handler: @escaping (Result<URL, any Error>) -> Void
    ) {
        let handler = Sent(handler)
        DispatchQueue.global().async { handler.value(Result { try ModelCompiler.compile(url) }) }
    }

    // MARK: What a model is

    open var modelDescription: MLModelDescription { MLModelDescription(loaded.interface, loaded.metadata) }
    open var configuration: MLModelConfiguration { settings }

    open func parameterValue(for key: MLParameterKey) throws -> Any {
        throw modelError(.parameters, "The model has no parameter '\(key.name)'.")
    }

    public static var availableComputeDevices: [MLComputeDevice] { MLComputeDevice.allComputeDevices }

    // MARK: Predictions

    open func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider {
        try prediction(from: input, options: MLPredictionOptions())
    }

    open func prediction(
        from input: any MLFeatureProvider, options: MLPredictionOptions
    ) throws -> any MLFeatureProvider {
        AutoreleasePools.expectOne()
        return try loaded.alone { try loaded.predict(input, backings: options.outputBackings, state: nil) }
    }

    public func prediction(
        from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider {
        try await loaded.predictLater(input, backings: options.outputBackings, state: nil)
    }

    open func predictions(fromBatch inputBatch: any MLBatchProvider) throws -> any MLBatchProvider {
        try predictions(from: inputBatch, options: MLPredictionOptions())
    }

    open func predictions(
        from inputBatch: any MLBatchProvider, options: MLPredictionOptions
    ) throws -> any MLBatchProvider {
        AutoreleasePools.expectOne()
        return try loaded.alone {
            // Backings are for one prediction; a batch has as many results as inputs, and ignores them.
            let results = try (0..<inputBatch.count).map {
                try loaded.predict(inputBatch.features(at: $0), backings: [:], state: nil)
            }
            return MLArrayBatchProvider(array: results)
        }
    }

    // MARK: State

    open func makeState() -> MLState {
        AutoreleasePools.expectOne()
        return MLState(loaded)
    }

    open func prediction(
        from inputFeatures: any MLFeatureProvider, using state: MLState
    ) throws -> any MLFeatureProvider {
        try prediction(from: inputFeatures, using: state, options: MLPredictionOptions())
    }

    open func prediction(
        from inputFeatures: any MLFeatureProvider, using state: MLState, options: MLPredictionOptions
    ) throws -> any MLFeatureProvider {
        AutoreleasePools.expectOne()
        return try loaded.alone { try loaded.predict(inputFeatures, backings: options.outputBackings, state: state) }
    }

    public func prediction(
        from input: any MLFeatureProvider, using state: MLState, options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider {
        try await loaded.predictLater(input, backings: options.outputBackings, state: state)
    }
}

@available(*, unavailable) extension MLModel: @unchecked Sendable {}

/// Carries what is not known to be safe to another thread: the stand-in takes care of it.
struct Sent<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// Runs a body on another thread.
func elsewhere<Value>(
    after delay: Int = 0, _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Sent<Value>, any Error>) in
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(delay)) {
            continuation.resume(with: Result { Sent(try body()) })
        }
    }.value
}

/// A compiled model, on disk or in memory.
open class MLModelAsset: NSObject {
    private let source: () throws -> CompiledModel

    private init(_ source: @escaping () throws -> CompiledModel) { self.source = source }

    public convenience init(specification specificationData: Data) throws {
        try self.init(specification: specificationData, blobMapping: [:])
    }

    public convenience init(specification specificationData: Data, blobMapping: [URL: Data]) throws {
        let compiled = try CompiledModel(specification: specificationData, blobs: blobMapping)
        self.init { compiled }
    }

    public convenience init(url compiledModelURL: URL) throws {
        guard FileManager.default.fileExists(atPath: compiledModelURL.path) else {
            throw modelError(.io, "There is no compiled model at \(compiledModelURL.path).")
        }
        self.init { try CompiledModel(at: compiledModelURL) }
    }

    func compiled() throws -> CompiledModel { try source() }

    public func functionNames(completionHandler handler: @escaping @Sendable ([String]?, (any Error)?) -> Void) {
        do {
            handler(try names(), nil)
        } catch {
            handler(nil, error)
        }
    }

    public var functionNames: [String] { get async throws { try names() } }

    public func modelDescription(
        completionHandler handler: @escaping @Sendable (MLModelDescription?, (any Error)?) -> Void
    ) {
        do {
            handler(try description(of: nil), nil)
        } catch {
            handler(nil, error)
        }
    }

    public var modelDescription: MLModelDescription { get async throws { try description(of: nil) } }

    public func modelDescription(
        ofFunctionNamed functionName: String,
        completionHandler handler: @escaping @Sendable (MLModelDescription?, (any Error)?) -> Void
    ) {
        do {
            handler(try description(of: functionName), nil)
        } catch {
            handler(nil, error)
        }
    }

    public func modelDescription(of functionName: String) async throws -> MLModelDescription {
        try description(of: functionName)
    }

    /// The names of the functions; none where the model has only one.
    private func names() throws -> [String] {
        let names = try compiled().model.program.functions.map(\.name)
        return names.count > 1 ? names : []
    }

    private func description(of function: String?) throws -> MLModelDescription {
        let model = try compiled().model
        do {
            return MLModelDescription(try model.interface(function), model.metadata)
        } catch let failure as Failure {
            throw modelError(.generic, failure.message)
        }
    }
}

@available(*, unavailable) extension MLModelAsset: @unchecked Sendable {}
