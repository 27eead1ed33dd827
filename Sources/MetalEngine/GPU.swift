#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import Metal
    import MetalPerformanceShadersGraph
    import Synchronization

    #if canImport(CoreGraphics)
        // On a Mac, a process that does not link this has no default GPU.
        import CoreGraphics
    #endif

    /// What the engine keeps of the GPU for as long as the process lives: the queue, the memory, the compiled kernels.
    /// Threads share a queue by Apple's words, but not every SDK declares it so.
    final class GPU: @unchecked Sendable {
        let device: any MTLDevice
        private let queue: any MTLCommandQueue
        let memory: MetalMemory
        let kernels: KernelCache

        private static let shared = Mutex<GPU?>(nil)

        /// The system's GPU, or a failure where there is none now.
        static func current() throws -> GPU {
            guard let device = MTLCreateSystemDefaultDevice() else {
                throw Failure(.unsupported, "This machine has no GPU that Metal can use.")
            }
            return try shared.withLock { shared in
                if let gpu = shared { return gpu }
                let gpu = try GPU(device)
                shared = gpu
                return gpu
            }
        }

        private init(_ device: any MTLDevice) throws {
            guard let queue = device.makeCommandQueue() else {
                throw Failure(.unsupported, "Metal has no command queue to give.")
            }
            self.device = device
            self.queue = queue
            memory = MetalMemory(device)
            kernels = KernelCache(device)
        }

        /// Encodes each step into a command buffer, sends it off, and waits for all of them.
        func run(_ steps: some Collection<any MetalStep>, on values: MetalValues) throws {
            var sent: [any MTLCommandBuffer] = []
            // Whatever was sent must end before the memory is given back.
            defer { for commands in sent { commands.waitUntilCompleted() } }
            for step in steps {
                guard let first = queue.makeCommandBuffer() else {
                    throw Failure(.unsupported, "Metal has no command buffer to give.")
                }
                let commands = MPSCommandBuffer(commandBuffer: first)
                try step.encode(into: commands, values)
                commands.commit()
                // A graph may have sent off the first one by itself, and gone on with another behind it.
                sent += [first, commands]
            }
            for commands in sent {
                commands.waitUntilCompleted()
                if let error = commands.error { throw Failure(gpu: error) }
            }
        }
    }

    extension Failure {
        /// What the GPU reports of work that it did not finish: another device may do it.
        fileprivate init(gpu error: any Error) {
            let isMemory = (error as? MTLCommandBufferError)?.code == .outOfMemory
            self.init(isMemory ? .outOfMemory : .unsupported, "The GPU did not finish: \(error.localizedDescription)")
        }
    }

    #if !canImport(ObjectiveC)
        func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result { try body() }
    #endif
#endif
