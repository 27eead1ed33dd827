import Synchronization

/// Records a function: each call that a program makes is added to it. One thread at a time.
public final class Trace: Sendable {
    private let state: Mutex<State>

    private struct State {
        var function: Function
        var names: Set<String> = []
        var isEnded = false

        /// Makes a value an output under a name. Inputs, constants and values given twice go out as copies.
        mutating func give(_ name: String, _ id: ValueID) throws {
            guard names.insert(name).inserted else {
                throw Failure(.invalidArgument, "The name '\(name)' is given to two inputs or outputs of the function.")
            }
            let isPlain =
                function[id].constant == nil && !function.inputs.contains(id) && !function.outputs.contains(id)
            let output = isPlain ? id : try function.append("identity", name: name, ["x": [id]])[0]
            function[output].name = name
            function.block.outputs.append(output)
        }
    }

    public init(name: String = "main") { state = Mutex(State(function: Function(name: name))) }

    /// Adds an input. Names are given once.
    public func input(_ name: String, _ type: TensorType) throws -> (ValueID, TensorType) {
        try change { state in
            guard state.names.insert(name).inserted else {
                throw Failure(.invalidArgument, "The traced function has an input '\(name)' already.")
            }
            return (state.function.input(name, .tensor(type)), type)
        }
    }

    /// Adds what `write` writes and answers its results with their types.
    public func append(_ write: (inout Function) throws -> [ValueID]) throws -> [(ValueID, TensorType)] {
        try change { state in
            let results = try write(&state.function)
            return try results.map { ($0, try state.function.tensorType($0)) }
        }
    }

    /// The function with these values as its outputs. The trace takes nothing more.
    public func end(_ outputs: [(name: String, id: ValueID)]) throws -> Function {
        try change { state in
            guard !outputs.isEmpty else { throw Failure(.invalidArgument, "A function gives at least one output.") }
            for (name, id) in outputs { try state.give(name, id) }
            state.isEnded = true
            return state.function
        }
    }

    private func change<Answer: Sendable>(_ body: (inout State) throws -> Answer) throws -> Answer {
        try state.withLock { state in
            guard !state.isEnded else { throw Failure(.invalidArgument, "The trace has ended; begin a new one.") }
            return try body(&state)
        }
    }
}
