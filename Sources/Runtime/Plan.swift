import MIL

/// What will run where, and why: data for people and programs.
public struct Plan: Sendable {
    public var device: String
    /// Why this device; empty where nobody chose.
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

    public init(device: String, steps: [Step], workspaceBytes: Int, packedBytes: Int) {
        self.device = device
        self.steps = steps
        self.workspaceBytes = workspaceBytes
        self.packedBytes = packedBytes
    }
}
