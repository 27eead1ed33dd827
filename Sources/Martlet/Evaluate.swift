import CPUEngine

/// The results of one operation whose arguments are all known, by running it on the CPU; nil where the CPU refuses it.
func evaluateOnCPU(_ call: Call) throws -> [Tensor]? {
    guard let cpu = CPUDevice.all.first else { return nil }
    var function = Function(name: call.op.name, opset: call.function.opset)
    var inputs: [Tensor] = []
    var arguments: [Argument] = []
    for argument in call.operation.arguments {
        let isConstant = call.op.parameter(argument.name)?.isConstant ?? false
        let values = argument.values.map { id in
            let value = call.function[id]
            guard let tensor = value.constant, !isConstant else { return function.add(value) }
            inputs.append(tensor)
            return function.input(value.name, value.type)
        }
        arguments.append(Argument(argument.name, values))
    }
    function.block.outputs = try function.append(Operation(call.op.name, arguments, outputs: []), name: call.op.name)
    guard let operation = function.operations.first else { return nil }
    if case .refused = cpu.assess(try Call(operation, in: function)) { return nil }
    return try cpu.compile(function).run(inputs)
}
