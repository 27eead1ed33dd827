// Random numbers. The same seed gives the same numbers on one engine; -1 stands for any seed.

extension OpTable {
    static let randomOps: [Op] = [
        Op(
            "random_normal", .random, "numbers from a normal distribution",
            [
                shape, .float("mean", "the mean, which also gives the element type", default: 0),
                .float("stddev", "the standard deviation", default: 1), seed,
            ]
        ) { call in try made(call, typedBy: "mean", and: "stddev") },
        Op(
            "random_uniform", .random, "numbers evenly spread from low up to high, high itself left out",
            [
                shape, .float("low", "the lower bound, which also gives the element type", default: 0),
                .float("high", "the upper bound", default: 1), seed,
            ]
        ) { call in try made(call, typedBy: "low", and: "high") },
        Op(
            "random_bernoulli", .random, "1 with a probability, else 0",
            [shape, .float("prob", "the probability of 1, which also gives the element type", default: 0.5), seed],
            expansion: { call, function in
                let name = call.name
                let dtype = call.constant("prob")?.dtype ?? .float32
                var arguments = call.operation.arguments.filter { $0.name != "prob" }
                // The bounds carry the element type.
                for (bound, value) in [("low", 0.0), ("high", 1.0)] {
                    arguments.append(Argument(bound, [function.number(value, as: dtype, name: "\(name)_\(bound)")]))
                }
                let even = try function.one(
                    Operation("random_uniform", arguments, outputs: []), name: "\(name)_uniform")
                let edge = function.constant(call.constant("prob") ?? Tensor(Float(0.5)), name: "\(name)_prob")
                let hit = try function.one("less", name: "\(name)_hit", ["x": [even], "y": [edge]])
                return [try function.cast(hit, to: dtype, name: name)]
            }
        ) { call in
            guard try (0...1).contains(call.float("prob")) else {
                throw Failure(.outOfRange, "The parameter 'prob' is \(try call.float("prob")); it must be from 0 to 1.")
            }
            return try made(call, typedBy: "prob", and: "prob")
        },
        Op(
            "random_categorical", .random, "positions drawn along the last axis by their weights",
            [
                .tensor("x", "[…, categories]: the weights", .floats),
                .text("mode", "what the weights are: `logits` or `probs`", default: "logits"),
                .int("size", "how many to draw", default: 1), seed,
            ]
        ) { call in
            let x = try call.type("x", rank: 1...Int.max)
            _ = try call.text("mode", among: ["logits", "probs"])
            _ = try call.int("seed")
            guard x.shape.last != 0 else {
                throw Failure(.invalidArgument, "x has no categories to draw from; it must have one.")
            }
            return [TensorType(x.dtype, x.shape.dropLast() + [try call.int("size", in: Call.positive)])]
        },
    ]

    private static let shape = Op.Parameter.tensor("shape", "the shape of the result", .integers)
    private static let seed = Op.Parameter.int(
        "seed", "where the sequence of numbers starts; -1 for anywhere", default: -1)

    private static func made(_ call: Call, typedBy name: String, and other: String) throws -> [TensorType] {
        _ = try (call.float(name), call.float(other), call.int("seed"))
        guard let value = call.constant(name), call.constant(other)?.dtype == value.dtype else {
            throw Failure(.wrongType, "The parameters '\(name)' and '\(other)' must be of one type.")
        }
        return [TensorType(value.dtype, try call.ints("shape", in: Call.sizes))]
    }
}
