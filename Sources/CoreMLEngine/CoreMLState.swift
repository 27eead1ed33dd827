#if canImport(CoreML)
    import CoreML
    import MIL
    import Runtime

    /// What a model with states keeps between predictions, in Core ML's own memory.
    final class CoreMLState: ExecutableState {
        private let state: MLState
        private let ports: [Port]

        init(_ state: MLState, _ ports: [Port]) { (self.state, self.ports) = (state, ports) }

        static func of(_ state: any ExecutableState) throws -> MLState {
            guard let state = state as? CoreMLState else {
                throw Failure(.invalidArgument, "The state was made by another executable; makeState() gives one.")
            }
            return state.state
        }

        func value(of name: String) throws -> Tensor {
            _ = try port(name)
            return try coreML { try state.withMultiArray(for: name) { try $0.tensor() } }
        }

        func set(_ value: Tensor, for name: String) throws {
            let type = try port(name).type
            guard value.type == type else {
                throw Failure(.invalidArgument, "The state '\(name)' is a \(type), not a \(value.type).")
            }
            try coreML { state.withMultiArray(for: name) { $0.take(value) } }
        }

        private func port(_ name: String) throws -> Port {
            guard let port = ports.first(where: { $0.name == name }) else {
                let names = ports.map { "'\($0.name)'" }.joined(separator: ", ")
                throw Failure(.invalidArgument, "There is no state '\(name)'; there are \(names).")
            }
            return port
        }
    }
#endif
