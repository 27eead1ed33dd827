import CPUEngine

/// The results of one operation whose arguments are all known, by running it on the CPU; nil where the CPU refuses it.
@Sendable func evaluateOnCPU(_ call: Call) throws -> [Tensor]? {
    guard let cpu = CPUDevice.all.first else { return nil }
    var function = Function(name: call.op.name, opset: call.function.opset)
    let arguments = call.operation.arguments.map { argument in
        Argument(argument.name, argument.values.map { function.add(call.function[$0]) })
    }
    function.block.outputs = try function.append(Operation(call.op.name, arguments, outputs: []), name: call.op.name)
    if case .refused = cpu.assess(try Call(function.operations[0], in: function)) { return nil }
    return try cpu.compile(function).run([])
}
