// Activations: elementwise functions that networks put behind a layer.

extension OpTable {
    static let activationOps: [Op] = [
        activation("relu", "the larger of x and 0", .numbers),
        activation("relu6", "x held between 0 and 6"),
        activation("sigmoid", "1 / (1 + e^-x)"),
        activation("silu", "x · sigmoid(x)"),
        activation("softplus", "ln(1 + e^x)"),
        activation("softsign", "x / (1 + |x|)"),
        activation(
            "leaky_relu", "x where positive, else alpha · x", [.float("alpha", "the slope below zero", default: 0.01)]),
        activation(
            "elu", "x where positive, else alpha · (e^x - 1)", [.float("alpha", "the scale below zero", default: 1)]),
        activation("thresholded_relu", "x where x ≥ alpha, else 0", [.float("alpha", "the threshold", default: 1)]),
        activation(
            "linear_activation", "alpha · x + beta",
            [.float("alpha", "the slope"), .float("beta", "the offset", default: 0)]),
        activation(
            "scaled_tanh", "alpha · tanh(beta · x)",
            [.float("alpha", "outer scale", default: 1), .float("beta", "inner scale", default: 1)]),
        activation(
            "sigmoid_hard", "alpha · x + beta held between 0 and 1",
            [.float("alpha", "the slope", default: 0.2), .float("beta", "the offset", default: 0.5)]),
        activation(
            "clamped_relu", "x where positive, else alpha · x, at most beta",
            [.float("alpha", "the slope below zero"), .float("beta", "the upper bound")]),
        activation(
            "gelu", "x · Φ(x), Φ the normal distribution",
            [.text("mode", "EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION", default: "EXACT")]),
        perChannel(
            "prelu", "x where positive, else alpha · x, alpha one value a channel (axis 1)",
            [.constant("alpha", "[C]: the slope below zero of each channel", .floats)]),
        perChannel(
            "softplus_parametric", "alpha · ln(1 + e^(beta · x)), one alpha and beta a channel (axis 1)",
            [.constant("alpha", "[C]: outer scale", .floats), .constant("beta", "[C]: inner scale", .floats)]),
        Op(
            "softmax", .activation, "e^x over the sum of e^x along the axis",
            [.tensor("x", "the values", .floats), .int("axis", "the axis that sums to 1", default: -1)],
            expansion: softmax
        ) { call in
            let x = try call.type("x")
            _ = try call.axis(rank: x.rank)
            return [x]
        },
    ]

    private static func activation(_ name: String, _ words: String, _ more: [Op.Parameter] = []) -> Op {
        activation(name, words, .floats, more)
    }

    private static func activation(
        _ name: String, _ words: String, _ dtypes: Set<DataType>, _ more: [Op.Parameter] = []
    ) -> Op {
        Op(name, .activation, words, [.tensor("x", "the values", dtypes)] + more) { [try $0.type("x")] }
    }

    /// An activation with constants for each channel, of shape [C] as coremltools has them.
    private static func perChannel(_ name: String, _ words: String, _ more: [Op.Parameter]) -> Op {
        Op(name, .activation, words, [.tensor("x", "[batch, channels, …]: the values", .floats)] + more) { call in
            let x = try call.type("x", rank: 2...Int.max)
            for parameter in more { try call.expect(parameter.name, [x.shape[1]]) }
            return [x]
        }
    }
}
