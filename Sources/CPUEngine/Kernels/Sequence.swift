import CKernels
import MIL

// Attention and recurrent layers.

extension CPUKernels {
    static let sequence: [Kernel] = [
        Kernel(name: "scaled_dot_product_attention") { call, lowerer, _ in
            let mask = try call.has("attn_mask") ? lowerer.view(call.id("attn_mask")) : nil
            let size = try call.type("query").shape.last ?? 1
            try attention(
                call, lowerer, output: call.operation.outputs[0], query: lowerer.view(call.id("query")),
                key: lowerer.view(call.id("key")), value: lowerer.view(call.id("value")), mask: mask,
                scale: 1 / Float(max(size, 1)).squareRoot())
        },
        Kernel(name: "lstm") { call, lowerer, _ in try lstm(call, lowerer) },
        Kernel(name: "gru") { call, lowerer, _ in try recurrent(call, lowerer, gates: 3) },
        Kernel(name: "rnn") { call, lowerer, _ in try recurrent(call, lowerer, gates: 1) },
    ]

    /// softmax(scale · query · keyᵀ + mask) · value in one step.
    static func attention(
        _ call: Call, _ lowerer: Lowerer, output id: ValueID, query: View, key: View, value: View, mask: View?,
        scale: Float,
        covering ops: [String]? = nil
    ) throws {
        let type = try lowerer.function.tensorType(id)
        let rank = type.rank
        // All batch axes but the last become one; rank 3 has one head.
        func fourAxes(_ view: View) -> View {
            if view.rank == 3 { return view.inserting([1], rank: 4) }
            let shape = [view.shape.dropLast(3).reduce(1, *)] + view.shape.suffix(3)
            return view.reshaped(shape) ?? lowerer.dense(view, for: call).reshaped(shape)!
        }
        func rows(_ view: View) -> View {
            let four = fourAxes(view)
            return four.strides[3] == 1 || four.shape[3] == 1 ? four : lowerer.dense(four, for: call)
        }
        let (q, k, v) = (rows(query), fourAxes(key), rows(value))
        // The kernel writes rows, and more than two batch axes must merge.
        let output = try lowerer.allocate(for: id, fixed: rank > 4 ? rank : 1)
        lowerer.define(id, output)
        guard output.count > 0 else { return }
        let o = fourAxes(output)
        var problem = mk_attention_problem()
        problem.batch = Int64(q.shape[0])
        problem.heads = Int64(q.shape[1])
        problem.queries = Int64(q.shape[2])
        problem.keys = Int64(k.shape[2])
        problem.depth = Int64(q.shape[3])
        problem.value_depth = Int64(v.shape[3])
        problem.scale = scale
        (problem.q_batch, problem.q_head, problem.q_row) = (
            Int64(q.strides[0]), Int64(q.strides[1]), Int64(q.strides[2])
        )
        (problem.k_batch, problem.k_head) = (Int64(k.strides[0]), Int64(k.strides[1]))
        (problem.k_row, problem.k_column) = (Int64(k.strides[2]), Int64(k.strides[3]))
        (problem.v_batch, problem.v_head, problem.v_row) = (
            Int64(v.strides[0]), Int64(v.strides[1]), Int64(v.strides[2])
        )
        (problem.o_batch, problem.o_head, problem.o_row) = (
            Int64(o.strides[0]), Int64(o.strides[1]), Int64(o.strides[2])
        )
        var added: View?
        if let mask {
            let scores = Array(type.shape.dropLast()) + [k.shape[2]]
            var view = mask
            if mask.dtype == .bool {
                // False leaves a source out: minus infinity where false, nothing where true.
                let numbers = lowerer.allocate(mask.shape, .float32)
                let choices = [lowerer.constant(Tensor(Float(0))), lowerer.constant(Tensor(-Float.infinity))]
                let leaves = [mask] + choices.map { $0.broadcast(to: mask.shape) }
                let code = [
                    mk_instruction(opcode: Int32(MK_SELECT.rawValue), out: 3, a: 0, b: 1, c: 2, p: 0, q: 0)
                ]
                let tape = try PreparedTape(shape: mask.shape, leaves: leaves, code: code, result: 3, output: numbers)
                lowerer.emit(call, kernel: "tape", reason: "the mask as numbers", reads: leaves, writes: [numbers]) {
                    tape.run($0)
                }
                view = numbers
            }
            let whole = view.broadcast(to: scores)
            let four: View
            if scores.count == 3 {
                four = whole.inserting([1], rank: 4)
            } else if scores.count == 4 {
                four = whole
            } else {
                four = fourAxes(lowerer.dense(whole, for: call))
            }
            (problem.mask_batch, problem.mask_head) = (Int64(four.strides[0]), Int64(four.strides[1]))
            (problem.mask_row, problem.mask_column) = (Int64(four.strides[2]), Int64(four.strides[3]))
            added = four
        }
        lowerer.scratch(withUnsafePointer(to: problem) { mk_attention_workspace($0) })
        let (prepared, maskView) = (Uncheckable(problem), added)
        lowerer.emit(
            call, kernel: "attention", reason: "scores stay in the cache", covering: ops, output: id,
            reads: [q, k, v] + (added.map { [$0] } ?? []),
            writes: [output]
        ) { frame in
            var problem = prepared.value
            problem.Q = UnsafePointer(frame.floats(q))
            problem.K = UnsafePointer(frame.floats(k))
            problem.V = UnsafePointer(frame.floats(v))
            problem.O = frame.floats(o)
            problem.mask = maskView.map { UnsafePointer(frame.floats($0)) }
            mk_attention(&problem, frame.scratch)
        }
    }

    private static func lstm(_ call: Call, _ lowerer: Lowerer) throws {
        let (all, lastH, lastC) = (call.operation.outputs[0], call.operation.outputs[1], call.operation.outputs[2])
        let source = try lowerer.view(call.id("x"))
        let x = source.strides[2] == 1 || source.shape[2] == 1 ? source : lowerer.dense(source, for: call)
        let direction = try call.text("direction")
        let hidden = try call.type("weight_hh").shape[1]
        let (steps, batch, inputs) = (x.shape[0], x.shape[1], x.shape[2])
        let (h0, c0) = (
            try lowerer.dense(call.id("initial_h"), for: call), try lowerer.dense(call.id("initial_c"), for: call)
        )
        let whole = try call.bool("output_sequence")
        let width = h0.shape[1]
        let sequence = lowerer.allocate(
            [whole ? steps : 1, batch, width], .float32, order: lowerer.wantedOrder(of: all, fixed: 1))
        let (h, c) = (try lowerer.allocate(for: lastH, fixed: 2), try lowerer.allocate(for: lastC, fixed: 2))
        lowerer.define(all, whole ? sequence : h.inserting([0], rank: 3))
        lowerer.define(lastH, h)
        lowerer.define(lastC, c)
        let gate = try activation(call.text("recurrent_activation"))
        let cell = try activation(call.text("cell_activation"))
        let result = try activation(call.text("activation"))
        let clip = try call.has("clip") ? call.float("clip") : 0
        let ends = direction == "bidirectional" ? ["", "_back"] : [""]
        for (index, end) in ends.enumerated() {
            func weights(_ name: String) -> Tensor? { call.constant(name + end).map(lowerer.widened) }
            let (inputWeights, hiddenWeights) = (try call.known("weight_ih" + end), try call.known("weight_hh" + end))
            let packed = try Storage(allocating: mk_lstm_pack_size(Int64(inputs), Int64(hidden)))
            lowerer.packing(inputWeights) {
                lowerer.packing(hiddenWeights) {
                    let (first, second) = (lowerer.widened(inputWeights), lowerer.widened(hiddenWeights))
                    mk_lstm_pack(Int64(inputs), Int64(hidden), first.floats, second.floats, packed.pointer)
                    withExtendedLifetime((first, second)) {}
                }
            }
            lowerer.countPacked(packed.byteCount)
            let (bias, peephole) = (weights("bias"), weights("peephole"))
            var problem = mk_lstm_problem()
            (problem.steps, problem.batch) = (Int64(steps), Int64(batch))
            (problem.inputs, problem.hidden) = (Int64(inputs), Int64(hidden))
            problem.packed = UnsafeRawPointer(packed.pointer)
            problem.bias = bias?.floats
            problem.peephole = peephole?.floats
            problem.clip = clip
            (problem.gate_activation, problem.cell_activation, problem.output_activation) = (gate, cell, result)
            problem.reverse = direction == "reverse" || index == 1 ? 1 : 0
            (problem.x_step, problem.x_batch) = (Int64(x.strides[0]), Int64(x.strides[1]))
            (problem.initial_h_batch, problem.initial_c_batch) = (Int64(width), Int64(width))
            (problem.output_step, problem.output_batch) = (Int64(sequence.strides[0]), Int64(sequence.strides[1]))
            (problem.last_h_batch, problem.last_c_batch) = (Int64(width), Int64(width))
            // A reverse layer gives its states in the order of processing: the kernel's last step comes first.
            let isTurned = direction == "reverse"
            if isTurned { problem.output_step.negate() }
            lowerer.scratch(withUnsafePointer(to: problem) { mk_lstm_workspace($0) })
            let prepared = Uncheckable((problem, packed, bias, peephole))
            let start = index * hidden
            let firstState = isTurned ? max(steps - 1, 0) * sequence.strides[0] : start
            lowerer.emit(
                call, kernel: "lstm", reason: "one product for all inputs, then the steps with weights in the cache",
                reads: [x, h0, c0], writes: [sequence, h, c]
            ) { frame in
                var problem = prepared.value.0
                problem.x = UnsafePointer(frame.floats(x))
                problem.initial_h = UnsafePointer(frame.floats(h0) + start)
                problem.initial_c = UnsafePointer(frame.floats(c0) + start)
                problem.outputs = whole ? frame.floats(sequence) + firstState : nil
                problem.last_h = frame.floats(h) + start
                problem.last_c = frame.floats(c) + start
                mk_lstm(&problem, frame.scratch)
                withExtendedLifetime(prepared) {}
            }
        }
    }

    private static func recurrent(_ call: Call, _ lowerer: Lowerer, gates: Int) throws {
        let (all, last) = (call.operation.outputs[0], call.operation.outputs[1])
        let (x, initial) = (
            try lowerer.dense(call.id("x"), for: call), try lowerer.dense(call.id("initial_h"), for: call)
        )
        let whole = try call.bool("output_sequence")
        let (state, sequence) = (
            lowerer.allocate(initial.shape, .float32), lowerer.allocate([x.shape[0]] + initial.shape, .float32)
        )
        lowerer.define(all, whole ? sequence : state.inserting([0], rank: 3))
        lowerer.define(last, state)
        func weights(_ name: String) -> Tensor? {
            call.op.parameter(name) == nil ? nil : call.constant(name).map(lowerer.widened)
        }
        let tensors = ["weight_ih", "weight_hh", "bias", "input_bias"].map(weights)
        var problem = mk_recurrent_problem()
        (problem.steps, problem.batch, problem.inputs) = (Int64(x.shape[0]), Int64(x.shape[1]), Int64(x.shape[2]))
        problem.hidden = Int64(initial.shape[1])
        (problem.W_ih, problem.W_hh) = (tensors[0]?.floats, tensors[1]?.floats)
        (problem.bias, problem.input_bias) = (tensors[2]?.floats, tensors[3]?.floats)
        problem.activation = try activation(call.text("activation"))
        problem.reverse = try call.text("direction") == "reverse" ? 1 : 0
        if gates == 3 {
            problem.gate_activation = try activation(call.text("recurrent_activation"))
            problem.reset_after = try call.bool("reset_after") ? 1 : 0
        }
        lowerer.scratch(withUnsafePointer(to: problem) { mk_recurrent_workspace($0, Int32(gates)) })
        let prepared = Uncheckable((problem, tensors))
        lowerer.emit(
            call, kernel: call.op.name, reason: "one product for all inputs, then the steps", reads: [x, initial],
            writes: whole ? [sequence, state] : [state]
        ) { frame in
            var problem = prepared.value.0
            problem.x = UnsafePointer(frame.floats(x))
            problem.initial_h = UnsafePointer(frame.floats(initial))
            problem.outputs = whole ? frame.floats(sequence) : nil
            problem.last_h = frame.floats(state)
            if gates == 3 { mk_gru(&problem, frame.scratch) } else { mk_rnn(&problem, frame.scratch) }
            withExtendedLifetime(prepared) {}
        }
    }

    private static func activation(_ name: String) throws -> mk_recurrent_activation {
        switch name.lowercased() {
        // MIL's scaled_tanh has no parameters here: alpha and beta are 1, as coremltools' tests have it.
        case "tanh", "scaled_tanh": return MK_RECURRENT_TANH
        case "sigmoid": return MK_RECURRENT_SIGMOID
        case "relu": return MK_RECURRENT_RELU
        case "linear": return MK_RECURRENT_LINEAR
        case "hard_sigmoid", "sigmoid_hard": return MK_RECURRENT_HARD_SIGMOID
        default:
            throw Failure(
                .unsupported, "A recurrent layer with the function '\(name)' has no kernel on the CPU engine.")
        }
    }
}

/// A C structure with pointers that never change, carried into a step.
struct Uncheckable<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
