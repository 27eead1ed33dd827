import Foundation
import MIL
import ShimControl

/// What a model consists of.
public enum MLModelStructure: Sendable {
    case neuralNetwork(NeuralNetwork)
    case program(Program)
    case pipeline(Pipeline)
    case unsupported

    public static func load(contentsOf url: URL) async throws -> MLModelStructure {
        MLModelStructure(try CompiledModel(at: url).model)
    }

    public static func load(asset: MLModelAsset) async throws -> MLModelStructure {
        MLModelStructure(try asset.compiled().model)
    }

    public struct NeuralNetwork: Sendable {
        public let layers: [Layer]

        public struct Layer: Sendable {
            public let name: String
            public let type: String
            public let inputNames: [String]
            public let outputNames: [String]
        }
    }

    public struct Pipeline: Sendable {
        public let subModelNames: [String]
        public let subModels: [MLModelStructure]
    }

    public struct Program: Sendable {
        public let functions: [String: Function]

        public struct Function: Sendable {
            public let inputs: [NamedValueType]
            public let block: Block
        }

        public struct Block: Sendable {
            public let inputs: [NamedValueType]
            public let outputNames: [String]
            public let operations: [Operation]
        }

        public struct Operation: Sendable {
            public let operatorName: String
            public let inputs: [String: Argument]
            public let outputs: [NamedValueType]
            public let blocks: [Block]
            /// By which the plan knows it again: its function and its place there; nil for constants.
            let place: Place?

            struct Place: Hashable {
                let function: String
                let index: Int
            }
        }

        public struct NamedValueType: Sendable {
            public let name: String
            public let type: ValueType
        }

        public struct ValueType: Sendable {}

        public struct Argument: Sendable {
            public let bindings: [Binding]
        }

        public enum Binding: Sendable {
            case name(String)
            case value(Value)
        }

        public struct Value: Sendable {}
    }
}

extension MLModelStructure {
    init(_ model: Model) {
        let functions = model.program.functions.map { ($0.name, Program.Function($0)) }
        self = .program(Program(functions: Dictionary(functions) { first, _ in first }))
    }
}

extension MLModelStructure.Program.Function {
    init(_ function: MIL.Function) {
        inputs = function.inputs.map { .init(name: function[$0].name, type: .init()) }
        var counter = 0
        block = MLModelStructure.Program.Block(function.block, in: function, &counter)
    }
}

extension MLModelStructure.Program.Block {
    init(_ block: MIL.Block, in function: MIL.Function, _ counter: inout Int) {
        inputs = block.inputs.map { .init(name: function[$0].name, type: .init()) }
        outputNames = block.outputs.map { function[$0].name }
        var operations: [MLModelStructure.Program.Operation] = []
        for operation in block.operations {
            // Constants are operations of their own, in front of who uses them.
            for id in operation.inputs where function[id].constant != nil {
                operations.append(.init(constant: function[id].name))
            }
            operations.append(.init(operation, in: function, &counter))
        }
        self.operations = operations
    }
}

extension MLModelStructure.Program.Operation {
    init(constant name: String) {
        operatorName = "const"
        inputs = [:]
        outputs = [.init(name: name, type: .init())]
        blocks = []
        place = nil
    }

    init(_ operation: MIL.Operation, in function: MIL.Function, _ counter: inout Int) {
        operatorName = OpsetFacts.writtenName(of: operation.op, function.opset)
        inputs = Dictionary(
            operation.arguments.map { argument in
                (argument.name, .init(bindings: argument.values.map { .name(function[$0].name) }))
            }
        ) { first, _ in first }
        outputs = operation.outputs.map { .init(name: function[$0].name, type: .init()) }
        let index = counter
        counter += 1
        blocks = operation.blocks.map { .init($0, in: function, &counter) }
        place = Place(function: function.name, index: index)
    }
}

/// Where Core ML means to run each operation of a model.
public class MLComputePlan {
    public let modelStructure: MLModelStructure
    private let placements: [MLModelStructure.Program.Operation.Place: Placement]

    private init(_ model: Model, _ configuration: MLModelConfiguration) throws {
        modelStructure = MLModelStructure(model)
        let function = try model.program.function(configuration.functionName)
        let planned = Placement.all(of: function, configuration.computeUnits)
        placements = Dictionary(
            uniqueKeysWithValues: planned.enumerated().map { (.init(function: function.name, index: $0), $1) })
    }

    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        let settings = Sent(configuration)
        return try await elsewhere { try plan(CompiledModel(at: url).model, settings.value) }
    }

    public static func load(asset: MLModelAsset, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        let sent = Sent((asset, configuration))
        return try await elsewhere { try plan(sent.value.0.compiled().model, sent.value.1) }
    }

    private static func plan(_ model: Model, _ configuration: MLModelConfiguration) throws -> MLComputePlan {
        if ShimControl.strikes("plan") { throw modelError(.generic, "SHIM: the compute plan was ordered to fail.") }
        ShimControl.count("planned")
        do {
            return try MLComputePlan(model, configuration)
        } catch let failure as Failure {
            throw modelError(.generic, failure.message)
        }
    }

    public func deviceUsage(for layer: MLModelStructure.NeuralNetwork.Layer) -> DeviceUsage? { nil }

    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? {
        operation.place.flatMap { placements[$0] }.map {
            DeviceUsage(
                supported: $0.supported.map(MLComputeDevice.processor),
                preferred: MLComputeDevice.processor($0.preferred))
        }
    }

    public func estimatedCost(of operation: MLModelStructure.Program.Operation) -> Cost? {
        operation.place.flatMap { placements[$0] }.map {
            // A share of nothing, 0 / 0, is NaN.
            Cost(weight: ShimControl.strikes("cost") ? .nan : $0.weight)
        }
    }

    public struct DeviceUsage: Sendable {
        public let supported: [MLComputeDevice]
        public let preferred: MLComputeDevice
    }

    public struct Cost: Sendable {
        public let weight: Double
    }
}

@available(*, unavailable) extension MLComputePlan: @unchecked Sendable {}
