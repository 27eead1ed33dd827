import MIL

// Long short-term memory, said step by step.

public enum MPSGraphRNNActivation: UInt, Sendable {
    case none = 0
    case relu = 1
    case tanh = 2
    case sigmoid = 3
    case hardSigmoid = 4
}

public class MPSGraphLSTMDescriptor: MPSGraphObject {
    public var reverse = false
    public var bidirectional = false
    public var produceCell = false
    public var training = false
    public var forgetGateLast = false
    public var inputGateActivation = MPSGraphRNNActivation.sigmoid
    public var forgetGateActivation = MPSGraphRNNActivation.sigmoid
    public var cellGateActivation = MPSGraphRNNActivation.tanh
    public var outputGateActivation = MPSGraphRNNActivation.sigmoid
    public var activation = MPSGraphRNNActivation.tanh

    public override init() {}
}

@available(*, unavailable)
extension MPSGraphLSTMDescriptor: @unchecked Sendable {}

extension MPSGraph {
    public func LSTM(
        _ source: MPSGraphTensor, recurrentWeight: MPSGraphTensor, inputWeight: MPSGraphTensor?, bias: MPSGraphTensor?,
        initState: MPSGraphTensor?, initCell: MPSGraphTensor?, descriptor: MPSGraphLSTMDescriptor, name: String?
    ) -> [MPSGraphTensor] {
        guard let inputWeight, var h = initState, var c = initCell, !descriptor.reverse, !descriptor.bidirectional,
            descriptor.produceCell, !descriptor.training, !descriptor.forgetGateLast
        else { graphAbort("a recurrent layer that no stand-in plays") }
        let (x, hidden) = (type(source).shape, type(recurrentWeight).shape[1])
        let sizes = [
            type(recurrentWeight).shape[0], type(inputWeight).shape[0], bias.map { type($0).shape[0] } ?? 4 * hidden,
        ]
        guard x.count == 3, sizes.allSatisfy({ $0 == 4 * hidden }), type(h).shape == [x[1], hidden],
            type(c).shape == [x[1], hidden]
        else { graphAbort("a recurrent layer of \(x) with \(hidden) states") }
        var (states, cells): ([MPSGraphTensor], [MPSGraphTensor]) = ([], [])
        for step in 0..<x[0] {
            let input = emit("reshape", ["x": part(source, 0, step, 1), "shape": [x[1], x[2]]])
            var sum = emit("add", ["x": product(input, inputWeight), "y": product(h, recurrentWeight)])
            if let bias { sum = emit("add", ["x": sum, "y": bias]) }
            // Gates in the order input, forget, cell, output.
            let gates = (0..<4).map { part(sum, 1, $0 * hidden, hidden) }
            let kept = emit("mul", ["x": active(gates[1], descriptor.forgetGateActivation), "y": c])
            let added = emit(
                "mul",
                [
                    "x": active(gates[0], descriptor.inputGateActivation),
                    "y": active(gates[2], descriptor.cellGateActivation),
                ])
            c = emit("add", ["x": kept, "y": added])
            h = emit(
                "mul", ["x": active(gates[3], descriptor.outputGateActivation), "y": active(c, descriptor.activation)])
            states.append(h)
            cells.append(c)
        }
        return [states, cells].map { emit("stack", ["values": $0, "axis": 0]) }
    }

    private func part(_ tensor: MPSGraphTensor, _ axis: Int, _ start: Int, _ length: Int) -> MPSGraphTensor {
        sliceTensor(tensor, dimension: axis, start: start, length: length, name: nil)
    }

    private func product(_ x: MPSGraphTensor, _ weight: MPSGraphTensor) -> MPSGraphTensor {
        emit("matmul", ["x": x, "y": weight, "transpose_y": true])
    }

    private func active(_ x: MPSGraphTensor, _ activation: MPSGraphRNNActivation) -> MPSGraphTensor {
        switch activation {
        case .none: x
        case .relu: emit("relu", ["x": x])
        case .tanh: emit("tanh", ["x": x])
        case .sigmoid: emit("sigmoid", ["x": x])
        case .hardSigmoid: graphAbort("a hard sigmoid, whose slope no page tells")
        }
    }
}
