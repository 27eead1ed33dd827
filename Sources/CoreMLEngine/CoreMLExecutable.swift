#if canImport(CoreML)
    import CoreML
    import MIL
    import Runtime

    /// A loaded model as an executable: tensors go in and out without copies, as far as Core ML plays along.
    struct CoreMLExecutable: Executable {
        let model: LoadedModel
        let features: (inputs: [BoundFeature], outputs: [BoundFeature])
        let states: [Port]
        let computePlan: ComputePlan

        var inputs: [Port] { features.inputs.map(\.port) }
        var outputs: [Port] { features.outputs.map(\.port) }
        var plan: Plan { computePlan.plan }
        var place: (device: String, reason: String) { (computePlan.device, "") }
        var footprint: Int { computePlan.footprint }

        func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
            try timed(observer) {
                try predict(inputs) { model, features, options in try model.prediction(from: features, options: options)
                }
            }
        }

        func run(_ inputs: [Tensor], state: any ExecutableState, observing observer: Observer?) throws -> [Tensor] {
            let state = try CoreMLState.of(state)
            return try timed(observer) {
                try predict(inputs) { model, features, options in
                    try model.prediction(from: features, using: state, options: options)
                }
            }
        }

        func run(batch: [[Tensor]]) throws -> [[Tensor]] {
            try coreML {
                let batch = MLArrayBatchProvider(array: try batch.map(provider))
                return try model.alone { model in
                    let results = try model.predictions(from: batch, options: MLPredictionOptions())
                    return try (0..<results.count).map { try tensors(results.features(at: $0), [:]) }
                }
            }
        }

        func runAsync(_ inputs: [Tensor], state: (any ExecutableState)?) async throws -> [Tensor] {
            let (provider, options, backings) = try coreML { try given(inputs) }
            do {
                // The provider's arrays hold the inputs until this is over.
                let results =
                    if let state {
                        try await model.model.prediction(
                            from: provider, using: CoreMLState.of(state), options: options)
                    } else {
                        try await model.model.prediction(from: provider, options: options)
                    }
                return try coreML { try tensors(results, backings) }
            } catch {
                throw failure(of: error)
            }
        }

        func makeState() throws -> (any ExecutableState)? {
            states.isEmpty ? nil : CoreMLState(autoreleasepool { model.model.makeState() }, states)
        }

        // MARK: Predictions

        private func predict(
            _ inputs: [Tensor],
            _ body: (MLModel, any MLFeatureProvider, MLPredictionOptions) throws -> any MLFeatureProvider
        ) throws -> [Tensor] {
            try coreML {
                let (provider, options, backings) = try given(inputs)
                return try model.alone { try tensors(body($0, provider, options), backings) }
            }
        }

        private func given(
            _ inputs: [Tensor]
        ) throws -> (any MLFeatureProvider, MLPredictionOptions, [String: OutputBacking]) {
            let (options, backings) = try options()
            return (try provider(inputs), options, backings)
        }

        /// Core ML tells the time of a whole prediction alone: step -1.
        private func timed(_ observer: Observer?, _ body: () throws -> [Tensor]) rethrows -> [Tensor] {
            let start = nanoseconds()
            let results = try body()
            observer?(Plan.wholeRun, nanoseconds() &- start) { results.first }
            return results
        }

        private func provider(_ inputs: [Tensor]) throws -> any MLFeatureProvider {
            guard inputs.count == features.inputs.count else {
                throw Failure(
                    .invalidArgument, "\(inputs.count) inputs are given where \(features.inputs.count) are needed.")
            }
            var values: [String: Any] = [:]
            for (feature, tensor) in zip(features.inputs, inputs) {
                values[feature.name] = try feature.value(of: tensor)
            }
            if values.isEmpty { values[CoreMLFunction.placeholder] = try MLMultiArray(over: Tensor([Float(0)])) }
            return try MLDictionaryFeatureProvider(dictionary: values)
        }

        private func options() throws -> (MLPredictionOptions, [String: OutputBacking]) {
            var backings: [String: OutputBacking] = [:]
            for feature in features.outputs { backings[feature.name] = try feature.backing() }
            let options = MLPredictionOptions()
            options.outputBackings = backings.mapValues(\.array)
            return (options, backings)
        }

        private func tensors(_ results: any MLFeatureProvider, _ backings: [String: OutputBacking]) throws -> [Tensor] {
            try features.outputs.map { try $0.tensor(of: results.featureValue(for: $0.name), backings[$0.name]) }
        }
    }

    /// Runs a body in which Core ML's own errors are the device's failures. What Core ML leaves to be released goes at once,
    /// whether or not the thread has a pool.
    func coreML<Answer>(_ body: () throws -> Answer) throws -> Answer {
        do { return try autoreleasepool(invoking: body) } catch { throw failure(of: error) }
    }

    /// Inputs were checked before, so that what Core ML finds wrong is the device's failure.
    private func failure(of error: any Error) -> Failure {
        (error as? Failure) ?? Failure(.unsupported, "Core ML: \(error.localizedDescription)")
    }
#endif
