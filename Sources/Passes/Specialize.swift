import MIL

/// The function for inputs of exactly these types: every type is inferred again, in order, so that no dimension stays
/// unknown. `shape` becomes a constant; other operations whose arguments are all known are offered to `evaluate`, and
/// where it answers, its answer replaces them. That is how a shape computed from an input reaches `reshape`.
public func specialize(
    _ function: Function, inputs: [TensorType], evaluate: (Call) throws -> [Tensor]? = { _ in nil }
) throws -> Function {
    guard inputs.count == function.inputs.count else {
        throw Failure(
            .invalidArgument,
            "The function '\(function.name)' has \(function.inputs.count) inputs, not \(inputs.count).")
    }
    var result = function
    for (id, type) in zip(function.inputs, inputs) {
        if case .state = result[id].type { result[id].type = .state(type) } else { result[id].type = .tensor(type) }
    }
    result.block = try specialize(function.block, of: &result, evaluate)
    return result
}

private func specialize(
    _ block: Block, of function: inout Function, _ evaluate: (Call) throws -> [Tensor]?
) throws -> Block {
    var block = block
    var kept: [Operation] = []
    kept.reserveCapacity(block.operations.count)
    for var operation in block.operations {
        for index in operation.blocks.indices {
            operation.blocks[index] = try specialize(operation.blocks[index], of: &function, evaluate)
        }
        let call = try Call(operation, in: function)
        let types = try call.infer()
        guard types.count == operation.outputs.count else {
            throw Failure(.malformed, "It has \(operation.outputs.count) results where \(types.count) follow.").at(
                operation: call.place)
        }
        for (id, type) in zip(operation.outputs, types) { function[id].type = type }
        guard let constants = try known(call, types, evaluate) else {
            kept.append(operation)
            continue
        }
        for (id, constant) in zip(operation.outputs, constants) { function[id].constant = constant }
    }
    block.operations = kept
    return block
}

/// The results of an operation, where they follow from what is known.
private func known(_ call: Call, _ types: [ValueType], _ evaluate: (Call) throws -> [Tensor]?) throws -> [Tensor]? {
    guard call.operation.blocks.isEmpty, call.op.isRepeatable else { return nil }
    if call.op.name == "shape", let id = call.operation["x"]?.first, let x = call.function[id].type.tensor, x.isFixed,
        let dtype = types.first?.tensor?.dtype
    {
        return [Tensor(x.shape.map(Double.init), dtype: dtype, shape: [x.rank])]
    }
    let isKnown = call.operation.inputs.allSatisfy { call.function[$0].constant != nil }
    guard isKnown, types.allSatisfy({ isShapeLike($0) }), let results = try evaluate(call) else { return nil }
    guard results.map({ ValueType.tensor($0.type) }) == types else {
        throw Failure(.bug, "Its known results have other types than the inferred ones.").at(operation: call.place)
    }
    return results
}

/// Shapes, axes and conditions on them are short; weights are not worth computing before the run.
private func isShapeLike(_ type: ValueType) -> Bool {
    guard case .tensor(let type) = type, type.isFixed else { return false }
    return type.count <= 1024
}
