import MIL
import Runtime
import Synchronization

/// A device for tests of everything above the engines: it runs a handful of ops one element at a time, and counts what
/// it is asked to compile.
public final class FakeDevice: Device {
    public let name = "fake"
    public let summary = "a device for tests"
    public let kind = DeviceKind.cpu
    public let availability = Availability.available
    private let compiled = Atomic<Int>(0)

    /// How many functions were compiled.
    public var compileCount: Int { compiled.load(ordering: .relaxed) }

    public init() {}

    public func assess(_ call: Call) -> Verdict {
        FakeExecutable.ops[call.op.name] == nil ? .refused(reason: "The fake device does not know it.") : .native
    }

    public func compile(_ function: Function) throws -> any Executable {
        compiled.wrappingAdd(1, ordering: .relaxed)
        return try FakeExecutable(function)
    }

    /// An answer for `specialize`: the results of an operation on known arguments.
    @Sendable public static func evaluate(_ call: Call) throws -> [Tensor]? {
        let constants = call.operation.arguments.reduce(into: [String: [Tensor]]()) { known, argument in
            known[argument.name] = argument.values.compactMap { call.function[$0].constant }
        }
        guard let run = FakeExecutable.ops[call.op.name], let type = try call.infer().first?.tensor else { return nil }
        return [try run(constants, type)]
    }
}

private struct FakeExecutable: Executable {
    typealias Run = @Sendable (_ arguments: [String: [Tensor]], _ type: TensorType) throws -> Tensor

    static let ops: [String: Run] = [
        "add": { try pairs($0, $1, +) },
        "mul": { try pairs($0, $1, *) },
        "relu": { Tensor(elements($0["x"]![0]).map { max($0, 0) }, dtype: $1.dtype, shape: $1.shape) },
        "identity": { arguments, _ in arguments["x"]![0] },
        "cast": { Tensor(elements($0["x"]![0]), dtype: $1.dtype, shape: $1.shape) },
        "reshape": { $0["x"]![0].reshaped($1.shape) },
        "concat": { Tensor($0["values"]!.flatMap(elements), dtype: $1.dtype, shape: $1.shape) },
    ]

    let inputs: [Port]
    let outputs: [Port]
    let plan: Plan
    private let function: Function

    init(_ function: Function) throws {
        func port(_ id: ValueID) throws -> Port {
            let type = try function.tensorType(id)
            guard type.isFixed else {
                throw Failure(.bug, "'\(function[id].name)' reached the device with an open shape.")
            }
            return Port(name: function[id].name, type: type)
        }
        self.function = function
        inputs = try function.inputs.map(port)
        outputs = try function.outputs.map(port)
        plan = Plan(
            device: "fake",
            steps: try function.operations.map { operation in
                guard FakeExecutable.ops[operation.op] != nil else {
                    throw Failure(.unsupported, "The fake device does not know '\(operation.op)'.")
                }
                let output = try port(operation.outputs[0])
                return Plan.Step(
                    ops: [operation.op], output: output.name, type: output.type, kernel: "fake", reason: "only one")
            }, workspaceBytes: 0, packedBytes: 0)
    }

    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
        var values = [ValueID: Tensor](uniqueKeysWithValues: zip(function.inputs, inputs))
        for (id, input) in zip(function.inputs, inputs) where .tensor(input.type) != function[id].type {
            throw Failure(.bug, "'\(function[id].name)' arrived as \(input.type), not \(function[id].type).")
        }
        func value(_ id: ValueID) -> Tensor { values[id] ?? function[id].constant! }
        for (step, operation) in function.operations.enumerated() {
            let arguments = Dictionary(
                uniqueKeysWithValues: operation.arguments.map { ($0.name, $0.values.map(value)) })
            let output = operation.outputs[0]
            let result = try FakeExecutable.ops[operation.op]!(arguments, function.tensorType(output))
            values[output] = result
            observer?(step, 0) { result }
        }
        return function.outputs.map(value)
    }

    private static func elements(_ tensor: Tensor) -> [Double] { (0..<tensor.count).map(tensor.double) }

    /// Element by element; an operand of one element serves all.
    private static func pairs(
        _ arguments: [String: [Tensor]], _ type: TensorType, _ combine: (Double, Double) -> Double
    ) throws -> Tensor {
        let (x, y) = (elements(arguments["x"]![0]), elements(arguments["y"]![0]))
        let results = (0..<type.count).map { combine(x[x.count == 1 ? 0 : $0], y[y.count == 1 ? 0 : $0]) }
        return Tensor(results, dtype: type.dtype, shape: type.shape)
    }
}
