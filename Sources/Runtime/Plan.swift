import MIL

/// What will run where, and why: data for people and programs.
public struct Plan: Sendable {
    public var device: String
    /// Why this device was chosen; empty if there was no choice.
    public var reason = ""
    public var steps: [Step]
    /// Bytes of intermediate values, shared by lifetime.
    public var workspaceBytes: Int
    /// Bytes of constants that were repacked for the device; mapped weights used as they are do not count.
    public var packedBytes: Int

    /// One step: the operations it covers, the first result and the kernel with the reason for the choice.
    public struct Step: Sendable {
        public var ops: [String]
        public var output: String
        public var type: TensorType
        public var kernel: String
        public var reason: String
        /// What the kernel reads and writes in one run, 0 where the engine does not say.
        public var bytes: Int
        /// The processor inside the plan's device, such as `Neural Engine`; empty where the device is one processor.
        public var processor = ""
        /// How the place is known.
        public var known = Knowledge.chosen
        /// Whether it is a graph that an engine compiled, in which operations may have gone by what they expand into.
        public var isGraph = false

        public init(
            ops: [String], output: String, type: TensorType, kernel: String, reason: String, bytes: Int = 0
        ) {
            self.ops = ops
            self.output = output
            self.type = type
            self.kernel = kernel
            self.reason = reason
            self.bytes = bytes
        }
    }

    /// What an observer is told instead of a step where a device knows the time of a whole run alone.
    public static let wholeRun = -1

    /// The plan as one step, for the time of a whole run.
    public var whole: Step {
        let last = steps.last
        return Step(
            ops: steps.flatMap(\.ops), output: last?.output ?? "", type: last?.type ?? TensorType(.float32, []),
            kernel: last?.kernel ?? "", reason: "the whole run", bytes: steps.reduce(0) { $0 &+ $1.bytes })
    }

    /// How it is known where an operation runs.
    public enum Knowledge: String, Sendable, Hashable, CaseIterable {
        /// Core ML says that it intends to; it need not keep to that.
        case planned = "planned by Core ML"
        /// Our engine computes it there, and nowhere else.
        case chosen = "chosen by us"
        /// It was observed running there.
        case ran
    }

    public init(device: String, steps: [Step], workspaceBytes: Int, packedBytes: Int) {
        self.device = device
        self.steps = steps
        self.workspaceBytes = workspaceBytes
        self.packedBytes = packedBytes
    }
}
