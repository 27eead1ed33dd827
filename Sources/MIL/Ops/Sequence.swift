// Sequences: recurrent layers and attention.

extension OpTable {
    static let sequenceOps: [Op] = [
        Op(
            "lstm", .sequence, "long short-term memory over a sequence; gates in the order input, forget, output, cell",
            [
                .tensor("x", "[steps, batch, inputs]: the sequence", .floats),
                .tensor("initial_h", "[batch, directions · hidden]: the first hidden state", .floats),
                .tensor("initial_c", "[batch, directions · hidden]: the first cell state", .floats),
                .constant("weight_ih", "[4 · hidden, inputs]: weights of the inputs", .floats),
                .constant("weight_hh", "[4 · hidden, hidden]: weights of the hidden state", .floats),
                .constant("bias", "[4 · hidden]: the offsets; 0 where left out", .floats, optional: true),
                .constant(
                    "peephole", "[3 · hidden]: weights of the cell state; 0 where left out", .floats, optional: true),
                .constant("weight_ih_back", "weight_ih of the backward direction", .floats, optional: true),
                .constant("weight_hh_back", "weight_hh of the backward direction", .floats, optional: true),
                .constant("bias_back", "bias of the backward direction", .floats, optional: true),
                .constant("peephole_back", "peephole of the backward direction", .floats, optional: true),
                .text("direction", "forward, bidirectional, or reverse: the last step comes first", default: "forward"),
                .bool("output_sequence", "give the hidden state of every step, not of the last only", default: false),
                .text("recurrent_activation", "the function on the gates", default: "sigmoid"),
                .text("cell_activation", "the function on the cell's input", default: "tanh"),
                .text("activation", "the function on the cell state", default: "tanh"),
                .float("clip", "the bound of the cell state before its function; none where left out", optional: true),
            ]
        ) { call in
            let both = try call.text("direction", among: ["forward", "reverse", "bidirectional"]) == "bidirectional"
            for name in ["recurrent_activation", "cell_activation", "activation"] { try checkActivation(call, name) }
            if both, !call.has("weight_ih_back") || !call.has("weight_hh_back") {
                throw Failure(
                    .invalidArgument,
                    "The direction is bidirectional; then weight_ih_back and weight_hh_back must be given.")
            }
            let outputs = try recurrent(call, gates: 4, directions: both ? 2 : 1)
            try call.expect("initial_c", outputs[1].shape)
            return outputs + [outputs[1]]
        },
        Op(
            "gru", .sequence, "gated recurrent unit over a sequence; gates in the order reset, output, update",
            [
                .tensor("x", "[steps, batch, inputs]: the sequence", .floats),
                .tensor("initial_h", "[batch, hidden]: the first hidden state", .floats),
                .constant("weight_ih", "[3 · hidden, inputs]: weights of the inputs", .floats),
                .constant("weight_hh", "[3 · hidden, hidden]: weights of the hidden state", .floats),
                .constant("bias", "[3 · hidden]: the offsets; 0 where left out", .floats, optional: true),
                .text("direction", "forward, or reverse: the last step comes first", default: "forward"),
                .bool("output_sequence", "give the hidden state of every step, not of the last only", default: false),
                .text("recurrent_activation", "the function on the reset and update gates", default: "sigmoid"),
                .text("activation", "the function on the output gate", default: "tanh"),
                .bool("reset_after", "apply the reset gate after the product with weight_hh", default: false),
                .constant(
                    "input_bias", "[3 · hidden]: offsets of the input products; 0 where left out", .floats,
                    optional: true),
            ]
        ) { call in
            _ = try call.text("direction", among: ["forward", "reverse"])
            for name in ["recurrent_activation", "activation"] { try checkActivation(call, name) }
            return try recurrent(call, gates: 3)
        },
        Op(
            "rnn", .sequence, "h = activation(weight_ih · x + weight_hh · h + bias) over a sequence",
            [
                .tensor("x", "[steps, batch, inputs]: the sequence", .floats),
                .tensor("initial_h", "[batch, hidden]: the first hidden state", .floats),
                .constant("weight_ih", "[hidden, inputs]: weights of the inputs", .floats),
                .constant("weight_hh", "[hidden, hidden]: weights of the hidden state", .floats),
                .constant("bias", "[hidden]: the offsets; 0 where left out", .floats, optional: true),
                .text("direction", "forward, or reverse: the last step comes first", default: "forward"),
                .bool("output_sequence", "give the hidden state of every step, not of the last only", default: false),
                .text("activation", "the function on the sum", default: "tanh"),
            ]
        ) { call in
            _ = try call.text("direction", among: ["forward", "reverse"])
            try checkActivation(call, "activation")
            return try recurrent(call, gates: 1)
        },
        Op(
            "scaled_dot_product_attention", .sequence, "softmax(query · keyᵀ / √size + attn_mask) · value",
            [
                .tensor("query", "[batch, …, targets, size]: what is sought", .floats),
                .tensor("key", "[batch, …, sources, size]: what it is compared with", .floats),
                .tensor("value", "[batch, …, sources, width]: what is mixed", .floats),
                .tensor(
                    "attn_mask",
                    "broadcasts to [batch, …, targets, sources]: false leaves a source out, a number is added",
                    Set<DataType>.floats.union([.bool]), optional: true),
            ],
            expansion: attention
        ) { call in
            let query = try call.type("query", rank: 3...Int.max)
            let (key, value) = (try call.type("key"), try call.type("value"))
            let rank = query.rank
            guard key.rank == rank, value.rank == rank, key.shape.dropLast(2) == query.shape.dropLast(2),
                value.shape.dropLast(2) == query.shape.dropLast(2), key.shape[rank - 1] == query.shape[rank - 1],
                value.shape[rank - 2] == key.shape[rank - 2]
            else {
                throw Failure(
                    .invalidArgument,
                    "query \(query.shape), key \(key.shape) and value \(value.shape) do not fit; "
                        + "they must be […, targets, size], […, sources, size] and […, sources, width].")
            }
            guard key.dtype == query.dtype, value.dtype == query.dtype else {
                throw Failure(.wrongType, "query, key and value must be of one type.")
            }
            if call.has("attn_mask") {
                let mask = try call.type("attn_mask")
                let scores = Array(query.shape.dropLast()) + [key.shape[rank - 2]]
                guard mask.shape.last == key.shape[rank - 2], try broadcast(mask.shape, scores) == scores else {
                    throw Failure(
                        .invalidArgument, "The attn_mask has shape \(mask.shape); it must broadcast to \(scores).")
                }
            }
            return [TensorType(query.dtype, query.shape.dropLast() + [value.shape[rank - 1]])]
        },
    ]

    /// The functions that recurrent layers apply.
    private static func checkActivation(_ call: Call, _ name: String) throws {
        let names = ["tanh", "scaled_tanh", "sigmoid", "hard_sigmoid", "sigmoid_hard", "relu", "linear"]
        _ = try call.text(name, among: names, anyCase: true)
    }

    /// Checks the sizes that all recurrent layers share; returns the types of the sequence and of the last state.
    private static func recurrent(_ call: Call, gates: Int, directions: Int = 1) throws -> [TensorType] {
        let x = try call.type("x", rank: 3...3)
        let hidden = try call.type("weight_hh", rank: 2...2).shape[1]
        let rows = try hidden.times(gates)
        for end in directions == 2 ? ["", "_back"] : [""] {
            try call.expect("weight_ih\(end)", [rows, x.shape[2]])
            try call.expect("weight_hh\(end)", [rows, hidden])
            try call.expect("bias\(end)", [rows])
            try call.expect("peephole\(end)", [hidden.times(3)])
        }
        try call.expect("input_bias", [rows])
        let state = [x.shape[1], try hidden.times(directions)]
        try call.expect("initial_h", state)
        let steps = try call.bool("output_sequence") ? x.shape[0] : 1
        return [TensorType(x.dtype, [steps] + state), TensorType(x.dtype, state)]
    }

    private static func attention(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let query = try call.type("query")
        let flip = function.constant(Tensor(true), name: "\(name)_transpose_y")
        // The root of the scale goes into both operands: their product then stays within fp16.
        let root = function.number(
            1 / Double(max(query.shape.last ?? 1, 1)).squareRoot().squareRoot(), as: query.dtype, name: "\(name)_scale")
        let left = try function.one("mul", name: "\(name)_query", ["x": [call.id("query")], "y": [root]])
        let right = try function.one("mul", name: "\(name)_key", ["x": [call.id("key")], "y": [root]])
        var scores = try function.one(
            "matmul", name: "\(name)_scores", ["x": [left], "y": [right], "transpose_y": [flip]])
        if call.has("attn_mask") {
            var mask = try call.id("attn_mask")
            if try function.tensorType(mask).dtype == .bool {
                let zero = function.number(0, as: query.dtype, name: "\(name)_kept")
                let never = function.number(-.infinity, as: query.dtype, name: "\(name)_left_out")
                mask = try function.one("select", name: "\(name)_mask", ["cond": [mask], "a": [zero], "b": [never]])
            }
            mask = try function.cast(mask, to: query.dtype, name: "\(name)_mask")
            scores = try function.one("add", name: "\(name)_masked", ["x": [scores], "y": [mask]])
        }
        let weights = try function.one("softmax", name: "\(name)_softmax", ["x": [scores]])
        return [try function.one("matmul", name: "\(name)_matmul", ["x": [weights], "y": [call.id("value")]])]
    }
}
