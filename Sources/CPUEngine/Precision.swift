import CKernels
import MIL

extension Function {
    /// Rewrites the function to hold fp32 wherever it says fp16, with casts at its inputs and outputs. Constants keep their
    /// fp16 bytes and are widened when a kernel wants them. Custom ops get and give what they declared, between casts.
    /// Returns the values to round through fp16, where `rounding`.
    mutating func widenHalf(rounding: Bool, around customs: Set<String> = []) throws -> Set<ValueID> {
        let declared = self
        var rounded: Set<ValueID> = []
        func isHalf(_ id: ValueID) -> Bool { self[id].type.tensor?.dtype == .float16 }
        var casts: [Operation] = []
        var replacement: [ValueID: ValueID] = [:]
        for id in inputs where isHalf(id) {
            let wide = add(Value(name: self[id].name, type: .tensor(TensorType(.float32, try tensorType(id).shape))))
            let dtype = constant(Tensor("fp32"), name: "\(self[id].name)_dtype")
            casts.append(Operation("cast", [Argument("x", [id]), Argument("dtype", [dtype])], outputs: [wide]))
            replacement[id] = wide
        }
        let inputs = Set(inputs)
        for index in block.operations.indices {
            for argument in block.operations[index].arguments.indices {
                block.operations[index].arguments[argument].values = block.operations[index].arguments[argument].values
                    .map {
                        replacement[$0] ?? $0
                    }
            }
            if rounding { rounded.formUnion(block.operations[index].outputs.filter(isHalf)) }
        }
        var outputCasts: [Operation] = []
        // Results whose size is known only during the run cannot be cast afterwards; their kernels round them.
        func isOpen(_ id: ValueID) -> Bool { self[id].type.tensor?.isOpen ?? false }
        for (position, id) in outputs.enumerated() where isHalf(id) && !isOpen(id) {
            let narrow = add(Value(name: self[id].name, type: self[id].type))
            let dtype = constant(Tensor("fp16"), name: "\(self[id].name)_dtype")
            let source = replacement[id] ?? id
            outputCasts.append(
                Operation("cast", [Argument("x", [source]), Argument("dtype", [dtype])], outputs: [narrow]))
            block.outputs[position] = narrow
        }
        let narrow = Set(outputCasts.flatMap(\.outputs))
        for index in values.indices where !inputs.contains(ValueID(index)) && !narrow.contains(ValueID(index)) {
            if case .tensor(let type) = values[index].type, type.dtype == .float16, !type.isOpen {
                values[index].type = .tensor(TensorType(.float32, type.shape))
            }
        }
        let body = customs.isEmpty ? block.operations : try narrowed(block.operations, as: declared, customs)
        block.operations = casts + body + outputCasts
        return rounded
    }
}

/// fp16 elements as fp32.
func widen(_ source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>, count: Int) {
    var tape = mk_tape()
    tape.rank = 1
    (tape.inputs, tape.outputs, tape.instructions) = (1, 1, 1)
    tape.shape.0 = Int64(count)
    tape.input_dtype.0 = Int32(MK_FP16.rawValue)
    tape.output_dtype.0 = Int32(MK_FP32.rawValue)
    tape.input_strides.0.0 = 1
    tape.output_strides.0.0 = 1
    tape.output_register.0 = 1
    tape.code.0 = mk_instruction(opcode: Int32(MK_COPY.rawValue), out: 1, a: 0, b: 0, c: 0, p: 0, q: 0)
    guard count > 0, mk_tape_collapse(&tape) == 0 else { return }
    var (input, output): (UnsafeRawPointer?, UnsafeMutableRawPointer?) = (source, UnsafeMutableRawPointer(target))
    mk_tape_run(&tape, &input, &output)
}
