import CKernels
import MIL

/// What becomes of a dense kernel's sums before they are stored: activations and additions that would otherwise read and
/// write the whole result once more.
struct Epilogue: Sendable {
    enum Activation: Sendable {
        case relu, clip(Float, Float), geluExact, geluTanh, sigmoid, silu, tanh
    }

    enum Stage: Sendable {
        case activation(Activation)
        case residual(View)
    }

    /// In order; at most one activation and one residual.
    var stages: [Stage] = []
    /// The value that holds the result after all stages.
    var output: ValueID
    /// Names of the ops taken in.
    var ops: [String]

    var residual: View? {
        for case .residual(let view) in stages { return view }
        return nil
    }

    /// Where the residual is added among the stages.
    var residualStage: Int? { stages.firstIndex { if case .residual = $0 { true } else { false } } }

    /// Takes in the operations that follow `id` as long as each is the only reader of the one before. The result will lie
    /// in `order`, which a residual must share.
    init(after id: ValueID, of call: Call, order: [Int], in lowerer: Lowerer) throws {
        output = id
        ops = [call.op.name]
        var (hasActivation, hasResidual) = (false, false)
        // The kernels' epilogues compute in fp32.
        guard try lowerer.function.tensorType(id).dtype == .float32 else { return }
        while !lowerer.rounded.contains(output), let index = lowerer.onlyReader(of: output) {
            let next = try Call(lowerer.function.operations[index], in: lowerer.function)
            let result = next.operation.outputs[0]
            if !hasActivation, let activation = try Epilogue.activation(next), next.operation["x"]?.first == output {
                stages.append(.activation(activation))
                hasActivation = true
            } else if !hasResidual, next.op.name == "add",
                let other = next.operation.inputs.first(where: { $0 != output }),
                lowerer.isDefined(other), try lowerer.function.tensorType(other) == lowerer.function.tensorType(output),
                lowerer.function[other].constant == nil, try lowerer.view(other).isDense(order: order)
            {
                let view = try lowerer.view(other)
                stages.append(
                    .residual(
                        View(
                            buffer: view.buffer, dtype: view.dtype, offset: view.offset, shape: view.shape,
                            strides: View.strides(of: view.shape, order: order))))
                hasResidual = true
            } else {
                break
            }
            lowerer.absorb(index)
            ops.append(next.op.name)
            output = result
        }
    }

    private static func activation(_ call: Call) throws -> Activation? {
        switch call.op.name {
        case "relu": .relu
        case "relu6": .clip(0, 6)
        case "clip": .clip(try call.float("alpha"), try call.float("beta"))
        case "sigmoid": .sigmoid
        case "silu": .silu
        case "tanh": .tanh
        case "gelu":
            switch try call.text("mode") {
            case "EXACT": .geluExact
            case "TANH_APPROXIMATION": .geluTanh
            default: nil
            }
        default: nil
        }
    }
}
