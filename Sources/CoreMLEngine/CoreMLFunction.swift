import MIL
import Passes
import Runtime

/// A function in the form that Core ML loads: inputs and outputs are fp16, fp32 or int32 of rank 1 to 5 with names of their
/// own, no output is an input or a constant, every value has a plain name, and there is an input.
struct CoreMLFunction {
    private(set) var model: Model
    private(set) var inputs: [BoundFeature] = []
    private(set) var outputs: [BoundFeature] = []
    /// What each value was called before.
    private(set) var titles: [String: String] = [:]

    /// Core ML 8 is that of macOS 15 and iOS 18, the oldest systems that the engine runs on.
    private static let opset = "CoreML8"
    /// The input of functions that have none, which Core ML does not take.
    static let placeholder = "in0"

    init(_ function: Function) throws {
        var function = function
        try function.sayInCoreML()
        model = Model(program: Program(functions: []), interfaces: [])
        (function.name, function.opset) = ("main", CoreMLFunction.opset)
        try wrapInputs(&function)
        try wrapOutputs(&function)
        nameValues(&function)
        if function.inputs.isEmpty {
            _ = function.input(CoreMLFunction.placeholder, .tensor(TensorType(.float32, [1])))
        }
        var interface = try Interface(of: function)
        for (index, id) in function.outputs.enumerated() {
            // The size of an open result is not known before the run.
            guard let type = function[id].type.tensor, !type.isFixed else { continue }
            interface.outputs[index].kind = .multiArray(.init(type.dtype, []))
        }
        model = Model(program: Program(functions: [function]), interfaces: [interface], specificationVersion: 9)
    }

    var function: Function { model.program.functions[0] }

    private mutating func wrapInputs(_ function: inout Function) throws {
        let body = function.operations
        function.block.operations = []
        for (index, id) in function.inputs.enumerated() {
            let (type, name) = (try function.tensorType(id), "in\(index)")
            inputs.append(BoundFeature(name, Port(name: function[id].name, type: type), .array(type.carried)))
            titles[name] = function[id].name
            guard type != type.carried else {
                function[id].name = name
                continue
            }
            function.block.inputs[index] = function.add(Value(name: name, type: .tensor(type.carried)))
            _ = try function.bring(function.block.inputs[index], to: type)
            function.block.operations[function.operations.count - 1].outputs = [id]
        }
        function.block.operations += body
    }

    private mutating func wrapOutputs(_ function: inout Function) throws {
        var taken = Set(function.inputs)
        for (index, id) in function.outputs.enumerated() {
            let (type, name) = (try function.tensorType(id), "out\(index)")
            outputs.append(BoundFeature(name, Port(name: function[id].name, type: type), .array(type.carried)))
            titles[name] = function[id].name
            var result = id
            if type != type.carried {
                result = try function.bring(id, to: type.carried)
            } else if function[id].constant != nil || !taken.insert(id).inserted {
                result = try function.append("identity", name: name, ["x": [id]])[0]
            }
            function[result].name = name
            function.block.outputs[index] = result
        }
    }

    /// Names results after their op, so that Core ML's plan can be read; the file takes no other letters.
    private mutating func nameValues(_ function: inout Function) {
        let border = Set(function.inputs + function.outputs)
        for (index, operation) in function.operations.enumerated() {
            for (place, id) in operation.outputs.enumerated() where !border.contains(id) {
                let name = "\(operation.op)_\(index)" + (place == 0 ? "" : "_\(place)")
                titles[name] = function[id].name
                function[id].name = name
            }
        }
    }
}

extension TensorType {
    /// How Core ML's interface carries a tensor of this type.
    fileprivate var carried: TensorType {
        TensorType(CoreMLTypes.floats.contains(dtype) ? dtype : .int32, shape.isEmpty ? [1] : shape)
    }
}

extension Function {
    /// A value in another element type, or as one element in place of a number and back.
    fileprivate mutating func bring(_ x: ValueID, to type: TensorType) throws -> ValueID {
        let given = try tensorType(x)
        var result = x
        if given.dtype != type.dtype {
            let dtype = constant(Tensor(type.dtype.name), name: "dtype")
            result = try append("cast", name: "cast", ["x": [result], "dtype": [dtype]])[0]
        }
        if given.rank != type.rank {
            let axes = constant(Tensor([Int32(0)]), name: "axes")
            let op = given.rank < type.rank ? "expand_dims" : "squeeze"
            result = try append(op, name: op, ["x": [result], "axes": [axes]])[0]
        }
        return result
    }
}
