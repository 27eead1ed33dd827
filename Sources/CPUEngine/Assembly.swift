import MIL
import Runtime

/// A function turned into steps over buffers: what a compiled program is before it has memory.
struct Assembly: Sendable {
    var buffers: [Buffer] = []
    var steps: [Step] = []
    var inputs: [Port] = []
    var outputs: [Port] = []
    /// The types of the outputs as memory must hold them.
    var rooms: [TensorType] = []
    /// Outputs whose first dimension is known only during the run, each with the buffer under which the frame keeps it.
    var open: [(output: Int, buffer: Int)] = []
    var workspaceBytes = 0
    var scratchBytes = 0
    var packedBytes = 0
    #if ONEDNN
        var primitives: [PrimitiveCall] = []
    #endif

    struct Buffer: Sendable {
        enum Place: Sendable {
            case constant(Tensor)
            case workspace(offset: Int)
            case input(Int)
            case output(Int)
        }
        var byteCount: Int
        var place: Place
    }

    struct Step: Sendable {
        var info: Plan.Step
        var reads: [View]
        var writes: [View]
        /// Results that may take the memory of an operand that ends here: pairs (result, operand).
        var inPlace: [(result: Int, operand: Int)]
        var run: Action

        /// What the plan says of it.
        var planned: Plan.Step {
            var step = info
            step.bytes = (reads + writes).reduce(0) { $0 &+ $1.touchedBytes }
            return step
        }
    }

    typealias Action = @Sendable (Frame) throws -> Void
}
