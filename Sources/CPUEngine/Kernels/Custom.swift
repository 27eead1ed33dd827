import MIL

// Ops that were added at run time: one step that calls back.

extension CPUKernels {
    /// Calls back with the operands and the results where they lie, in row-major order and the types declared.
    static func custom(_ run: @escaping CustomOp.Run) -> Kernel {
        Kernel(name: "custom") { call, lowerer, _ in
            let operands = try call.op.parameters.flatMap { try bound($0, call, lowerer) }
            let results = try call.operation.outputs.map { id in
                let type = try lowerer.function.tensorType(id)
                let view = lowerer.allocate(type.shape, type.dtype)
                lowerer.define(id, view)
                return view
            }
            let place = call.place
            let isKernel = call.op.custom?.runsKernel == true
            lowerer.emit(
                call, kernel: "custom", reason: isKernel ? "its Metal kernel, compiled for the CPU" : "a callback",
                reads: operands.compactMap(\.view), writes: results
            ) { frame in
                do {
                    try run(results.map { frame.elements($0) }, operands.map { $0.elements(frame) })
                } catch {
                    throw (error as? Failure ?? Failure(.callback, "\(error)")).at(operation: place)
                }
            }
        }
    }

    /// What one parameter brings: its values, or the default of one that is left out.
    private static func bound(_ parameter: Op.Parameter, _ call: Call, _ lowerer: Lowerer) throws -> [Operand] {
        guard let ids = call.operation[parameter.name] else { return parameter.defaultValue.map { [.known($0)] } ?? [] }
        return try ids.map { id in
            // Constants keep their own bytes, fp16 ones too.
            if let constant = call.function[id].constant { return .known(constant) }
            let dtype = try call.function.tensorType(id).dtype
            return .view(lowerer.dense(try lowerer.converted(lowerer.view(id), to: dtype, for: call), for: call))
        }
    }

    private enum Operand: Sendable {
        case known(Tensor)
        case view(View)

        var view: View? { if case .view(let view) = self { view } else { nil } }

        func elements(_ frame: Frame) -> CustomOp.Elements {
            switch self {
            case .known(let tensor): CustomOp.Elements(tensor.type, tensor.pointer, strings: tensor.strings)
            case .view(let view): frame.elements(view)
            }
        }
    }
}

extension Frame {
    fileprivate func elements(_ view: View) -> CustomOp.Elements {
        CustomOp.Elements(TensorType(view.dtype, view.shape), self[view])
    }
}

extension Function {
    /// The operations of a widened function with fp16 where custom ops declared it, between casts to and from fp32.
    mutating func narrowed(_ operations: [Operation], as declared: Function, _ customs: Set<String>) throws
        -> [Operation]
    {
        var result: [Operation] = []
        for (operation, old) in zip(operations, declared.operations) {
            guard customs.contains(operation.op) else {
                result.append(operation)
                continue
            }
            var operation = operation
            var after: [Operation] = []
            for (index, argument) in old.arguments.enumerated() {
                for (position, id) in argument.values.enumerated() where declared.isHalf(id) && self[id].constant == nil
                {
                    let wide = operation.arguments[index].values[position]
                    // An input of the function is still what it was; everything else became fp32.
                    let narrow = self[id].type == declared[id].type ? id : addCast(wide, to: declared[id], &result)
                    operation.arguments[index].values[position] = narrow
                }
            }
            for (position, id) in old.outputs.enumerated() where declared.isHalf(id) {
                let narrow = add(declared[id])
                operation.outputs[position] = narrow
                after.append(cast(narrow, to: id, "fp32"))
            }
            result += [operation] + after
        }
        return result
    }

    private func isHalf(_ id: ValueID) -> Bool { self[id].type.tensor?.dtype == .float16 }

    private mutating func addCast(_ source: ValueID, to value: Value, _ operations: inout [Operation]) -> ValueID {
        let target = add(value)
        operations.append(cast(source, to: target, "fp16"))
        return target
    }

    private mutating func cast(_ source: ValueID, to target: ValueID, _ dtype: String) -> Operation {
        let dtype = constant(Tensor(dtype), name: "\(self[target].name)_dtype")
        return Operation("cast", [Argument("x", [source]), Argument("dtype", [dtype])], outputs: [target])
    }
}
