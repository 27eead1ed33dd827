#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Recurrent layers, in fp32. MPSGraph's own LSTM takes the plain ones; the others go step by step, with one product for
    // the inputs of all steps: MPSGraph bounds no cell, has fewer functions, and says less of its other layers.

    extension MetalLowerings {
        static let recurrent: [Lowering] = [
            Lowering("lstm", .graphFloats, refusal: { Layer.descriptor($0) == nil ? tooManySteps($0) : nil }) {
                call, builder in
                let isBoth = try call.text("direction") == "bidirectional"
                let layers = try (isBoth ? ["", "_back"] : [""]).enumerated().map { index, end in
                    try Layer(call, builder, end).lstm(part: index)
                }
                let last = Term.joined(layers.map(\.last), 1)
                let sequence = Term.joined(layers.map(\.sequence), 2)
                return try results([sequence, last, Term.joined(layers.map(\.cell), 1)], call, builder)
            },
            Lowering("gru", .graphFloats, refusal: tooManySteps) { call, builder in
                let (sequence, last) = try Layer(call, builder).gru()
                return try results([sequence, last], call, builder)
            },
            Lowering("rnn", .graphFloats, refusal: tooManySteps) { call, builder in
                let (sequence, last) = try Layer(call, builder).rnn()
                return try results([sequence, last], call, builder)
            },
        ]

        /// The sequence, or its last step, and the last states, in the type of the results.
        private static func results(_ terms: [Term], _ call: Call, _ builder: GraphBuilder) throws -> [MPSGraphTensor] {
            var terms = terms
            if try !call.bool("output_sequence") { terms[0] = terms[1].reshaped([1] + terms[1].sizes) }
            return try terms.map { try builder.cast($0.tensor, to: call.result().dtype) }
        }

        /// A graph has a copy of the step for each; more take too long to compile.
        private static let mostSteps = 512

        @Sendable private static func tooManySteps(_ call: Call) -> String? {
            guard let steps = try? call.type("x").shape[0], steps > mostSteps else { return nil }
            return "The sequence has \(steps) steps; a graph is built of at most \(mostSteps)."
        }
    }

    /// One direction of a recurrent layer.
    private struct Layer {
        let call: Call
        let builder: GraphBuilder
        /// What the names of this direction's parameters end with.
        let end: String
        /// [steps · batch, inputs].
        let x: Term
        let steps: Int
        let batch: Int
        let hidden: Int
        let isReversed: Bool
        /// Results stand in the order of processing, but the backward half of a bidirectional layer is turned back.
        var isAligned: Bool { end.isEmpty }

        init(_ call: Call, _ builder: GraphBuilder, _ end: String = "") throws {
            (self.call, self.builder, self.end) = (call, builder, end)
            let shape = try call.type("x").shape
            (steps, batch) = (shape[0], shape[1])
            x = try builder.term("x", call).cast(to: .float32).reshaped([steps * batch, shape[2]])
            hidden = try call.type("weight_hh").shape[1]
            isReversed = try call.text("direction") == "reverse" || !end.isEmpty
        }

        /// MPSGraph's own layer for a plain one; nil where the call asks for more.
        static func descriptor(_ call: Call) -> MPSGraphLSTMDescriptor? {
            let isPlain = !["clip", "peephole", "peephole_back"].contains { call.has($0) }
            let functions = ["recurrent_activation", "cell_activation", "activation"].compactMap { name in
                (try? call.text(name).lowercased()).flatMap { activations[$0] }
            }
            guard isPlain, functions.count == 3 else { return nil }
            let descriptor = MPSGraphLSTMDescriptor()
            descriptor.produceCell = true
            descriptor.inputGateActivation = functions[0]
            descriptor.forgetGateActivation = functions[0]
            descriptor.outputGateActivation = functions[0]
            descriptor.cellGateActivation = functions[1]
            descriptor.activation = functions[2]
            return descriptor
        }

        private static let activations: [String: MPSGraphRNNActivation] = [
            "tanh": .tanh, "scaled_tanh": .tanh, "sigmoid": .sigmoid, "relu": .relu, "linear": .none,
        ]

        func lstm(part: Int) throws -> (sequence: Term, last: Term, cell: Term) {
            guard let descriptor = Layer.descriptor(call) else { return try stepwise(part: part) }
            let inputs = x.reshaped([steps, batch, x.sizes[1]])
            let layer = builder.graph.LSTM(
                (isReversed ? inputs.reversed([0]) : inputs).tensor, recurrentWeight: try gates("weight_hh").tensor,
                inputWeight: try gates("weight_ih").tensor,
                bias: try call.has("bias" + end) ? gates("bias").tensor : nil,
                initState: try state("initial_h", part).tensor, initCell: try state("initial_c", part).tensor,
                descriptor: descriptor, name: nil)
            guard layer.count > 1 else { throw Failure(.unsupported, "MPSGraph's LSTM does not give its cells.") }
            let (states, cells) = (Term(layer[0], builder.graph), Term(layer[1], builder.graph))
            func last(_ sequence: Term) -> Term {
                sequence.sliced(0, begin: steps - 1, length: 1).reshaped([batch, hidden])
            }
            return (isAligned ? states : states.reversed([0]), last(states), last(cells))
        }

        /// A parameter whose gates stand in MPSGraph's order: input, forget, cell, output.
        private func gates(_ name: String) throws -> Term {
            let given = try builder.term(name + end, call).cast(to: .float32)
            return Term.joined([0, 1, 3, 2].map { given.sliced(0, begin: $0 * hidden, length: hidden) }, 0)
        }

        private func stepwise(part: Int) throws -> (sequence: Term, last: Term, cell: Term) {
            let (gate, candidate) = (try function("recurrent_activation"), try function("cell_activation"))
            let output = try function("activation")
            let inputs = try products("weight_ih", offset: "bias")
            let weight = try turned("weight_hh")
            let peephole = try parameter("peephole").map { $0.reshaped([1, 3 * hidden]) }
            let bound = try call.has("clip") ? call.number("clip") : nil
            var (h, c) = (try state("initial_h", part), try state("initial_c", part))
            func peep(_ gate: Int, _ cell: Term) -> Term? {
                peephole.map { $0.sliced(1, begin: gate * hidden, length: hidden) * cell }
            }
            let states = scanned { step in
                let sum = self.step(inputs, step) + h.product(weight)
                func part(_ gate: Int, _ cell: Term) -> Term {
                    let own = sum.sliced(1, begin: gate * hidden, length: hidden)
                    return peep(gate, cell).map { own + $0 } ?? own
                }
                let kept = gate(part(1, c)) * c
                let added = gate(part(0, c)) * candidate(sum.sliced(1, begin: 3 * hidden, length: hidden))
                c = kept + added
                if let bound { c = c.held(from: -bound, to: bound) }
                h = gate(part(2, c)) * output(c)
                return h
            }
            return (states, h, c)
        }

        func gru() throws -> (sequence: Term, last: Term) {
            let (gate, output) = (try function("recurrent_activation"), try function("activation"))
            let inputs = try products("weight_ih", offset: "input_bias")
            let (weight, isAfter) = (try turned("weight_hh"), try call.bool("reset_after"))
            let bias = try parameter("bias").map { $0.reshaped([1, 3 * hidden]) }
            func part(_ term: Term, _ index: Int) -> Term { term.sliced(1, begin: index * hidden, length: hidden) }
            func shifted(_ term: Term, _ index: Int) -> Term { bias.map { term + part($0, index) } ?? term }
            var h = try state("initial_h", 0)
            let states = scanned { step in
                let input = self.step(inputs, step)
                let reset = gate(shifted(part(input, 0) + h.product(part(weight, 0)), 0))
                let update = gate(shifted(part(input, 2) + h.product(part(weight, 2)), 2))
                let product =
                    isAfter
                    ? reset * shifted(h.product(part(weight, 1)), 1) : shifted((reset * h).product(part(weight, 1)), 1)
                h = (1 - update) * output(part(input, 1) + product) + update * h
                return h
            }
            return (states, h)
        }

        func rnn() throws -> (sequence: Term, last: Term) {
            let (inputs, weight) = (try products("weight_ih", offset: "bias"), try turned("weight_hh"))
            let output = try function("activation")
            var h = try state("initial_h", 0)
            let states = scanned { step in
                h = output(self.step(inputs, step) + h.product(weight))
                return h
            }
            return (states, h)
        }

        /// The states of all steps, computed in the order of the direction.
        private func scanned(_ step: (Int) throws -> Term) rethrows -> Term {
            let order = Array(isReversed ? (0..<steps).reversed() : Array(0..<steps))
            let states = try order.map { try step($0).reshaped([1, batch, hidden]) }
            return Term.joined(isAligned ? states : states.reversed(), 0)
        }

        // MARK: Operands

        private func parameter(_ name: String) throws -> Term? {
            guard call.has(name + end) else { return nil }
            return try builder.term(name + end, call).cast(to: .float32)
        }

        /// A weight turned round, so that rows multiply it.
        private func turned(_ name: String) throws -> Term {
            try builder.term(name + end, call).cast(to: .float32).transposed([1, 0])
        }

        /// The inputs of all steps times their weight, with offsets where there are some.
        private func products(_ weight: String, offset: String) throws -> Term {
            let product = x.product(try turned(weight))
            return try parameter(offset).map { product + $0.reshaped([1, product.sizes[1]]) } ?? product
        }

        private func step(_ inputs: Term, _ step: Int) -> Term { inputs.sliced(0, begin: step * batch, length: batch) }

        /// The part of a first state that is this direction's.
        private func state(_ name: String, _ part: Int) throws -> Term {
            try builder.term(name, call).cast(to: .float32).sliced(1, begin: part * hidden, length: hidden)
        }

        private func function(_ name: String) throws -> (Term) -> Term {
            switch try call.text(name).lowercased() {
            case "tanh", "scaled_tanh": { $0.tanh }
            case "sigmoid": { $0.sigmoid }
            case "relu": { $0.larger($0.number(0)) }
            case "linear": { $0 }
            default: { ($0 * 0.2 + 0.5).held(from: 0, to: 1) }
            }
        }
    }

    extension Term {
        /// The product of two matrices.
        fileprivate func product(_ other: Term) -> Term {
            Term(graph.matrixMultiplication(primary: tensor, secondary: other.tensor, name: nil), graph)
        }
    }
#endif
