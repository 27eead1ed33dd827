import ModelFiles

extension Model {
    /// Reads a model from an `.mlpackage`.
    public init(contentsOf path: String) throws { self = try readModel(at: path) }

    /// Writes the model as an `.mlpackage`.
    public func write(to path: String) throws { try writeModel(self, to: path) }

    /// A model around a program: each function shows its inputs and outputs as they are.
    public init(_ program: Program) throws {
        self.init(program: program, interfaces: try program.functions.map(Interface.init))
    }
}

extension Interface {
    /// The interface of a function as it is: every input and output a tensor of the function's own type.
    public init(_ function: Function) throws {
        func feature(_ id: ValueID) throws -> Feature {
            let value = function[id]
            switch value.type {
            case .tensor(let type): return Feature(value.name, .multiArray(.init(type.dtype, type.shape)))
            case .state(let type): return Feature(value.name, .state(.init(type.dtype, type.shape)))
            default:
                throw Failure(.unsupported, "The value '\(value.name)' is a \(value.type); an interface holds tensors and states.")
            }
        }
        let inputs = try function.inputs.map(feature)
        func isState(_ feature: Feature) -> Bool { if case .state = feature.kind { true } else { false } }
        self.init(
            function: function.name, inputs: inputs.filter { !isState($0) }, outputs: try function.outputs.map(feature),
            states: inputs.filter(isState))
    }
}
