#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    // MPSGraph has three activations of its own; the others are formulas. NaN goes through all of them.

    extension MetalLowerings {
        static let activation: [Lowering] = [
            .formula("relu", .graphNumbers) { x, _ in x.larger(x.number(0)) },
            .formula("relu6") { x, _ in x.held(from: 0, to: 6) },
            .unary("sigmoid") { $0.sigmoid(with: $1, name: nil) },
            .formula("silu") { x, _ in x * x.sigmoid },
            .formula("softplus") { x, _ in x.softplus },
            .formula("softsign") { x, _ in x / (1 + x.magnitude) },
            .formula("leaky_relu") { x, call in (x >= 0).choose(x, try call.number("alpha") * x) },
            .formula("elu") { x, call in (x >= 0).choose(x, try call.number("alpha") * x.expm1) },
            .formula("thresholded_relu") { x, call in (x >= x.number(try call.number("alpha"))).choose(x, 0) },
            .formula("linear_activation") { x, call in try call.number("alpha") * x + call.number("beta") },
            .formula("scaled_tanh") { x, call in try call.number("alpha") * (call.number("beta") * x).tanh },
            .formula("sigmoid_hard") { x, call in
                (try call.number("alpha") * x + call.number("beta")).held(from: 0, to: 1)
            },
            .formula("clamped_relu") { x, call in
                (x >= 0).choose(x, try call.number("alpha") * x).smaller(x.number(try call.number("beta")))
            },
            .formula("gelu") { x, call in try gelu(x, call.text("mode")) },
            Lowering("prelu", .graphFloats) { call, builder in
                let x = try builder.term("x", call)
                let alpha = try channels("alpha", call, builder, like: x)
                return [(x > 0).choose(x, alpha * x).tensor]
            },
            Lowering("softplus_parametric", .graphFloats) { call, builder in
                let x = try builder.term("x", call)
                let (alpha, beta) = (
                    try channels("alpha", call, builder, like: x), try channels("beta", call, builder, like: x)
                )
                return [
                    x.inSingle { alpha.cast(to: .float32) * (beta.cast(to: .float32) * $0).softplus }.tensor
                ]
            },
            Lowering("softmax", .graphFloats) { call, builder in
                let x = try builder.term("x", call)
                return [
                    try x.alongAxis(call.axis(rank: x.sizes.count)) { x, axis in
                        Term(x.graph.softMax(with: x.tensor, axis: axis, name: nil), x.graph)
                    }.tensor
                ]
            },
        ]

        private static func gelu(_ x: Term, _ mode: String) throws -> Term {
            switch mode {
            case "EXACT": x * 0.5 * (1 + (x * 0.5.squareRoot()).erf)
            case "TANH_APPROXIMATION":
                x * 0.5 * (1 + ((x + 0.044715 * (x * x * x)) * (2 / Double.pi).squareRoot()).tanh)
            case "SIGMOID_APPROXIMATION": x * (1.702 * x).sigmoid
            default:
                throw Failure(
                    .invalidArgument,
                    "There is no gelu mode '\(mode)'; there are EXACT, TANH_APPROXIMATION and SIGMOID_APPROXIMATION.")
            }
        }

        /// One value a channel, along axis 1 of x and of its type.
        private static func channels(
            _ name: String, _ call: Call, _ builder: GraphBuilder, like x: Term
        ) throws -> Term {
            let value = try builder.term(name, call)
            return value.cast(to: x.type).reshaped(value.sizes + Array(repeating: 1, count: x.sizes.count - 2))
        }
    }
#endif
