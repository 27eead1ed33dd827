import ShimControl

package final class StandCommandQueue: NSObject, MTLCommandQueue {
    /// Command buffers of a queue run one after the other.
    fileprivate let worker = DispatchQueue(label: "stand-in GPU")

    package var device: any MTLDevice { StandDevice.current! }

    package func makeCommandBuffer() -> (any MTLCommandBuffer)? {
        ShimControl.strikes("command_buffer") ? nil : StandCommandBuffer(self)
    }
}

package final class StandCommandBuffer: NSObject, MTLCommandBuffer {
    private let queue: StandCommandQueue
    private let state = NSCondition()
    private nonisolated(unsafe) var work: [() throws -> Void] = []
    private nonisolated(unsafe) var progress = MTLCommandBufferStatus.notEnqueued
    private nonisolated(unsafe) var failure: (any Error)?
    private nonisolated(unsafe) var times: (start: Double, end: Double) = (0, 0)

    init(_ queue: StandCommandQueue) { self.queue = queue }

    package var commandQueue: any MTLCommandQueue { queue }
    package var device: any MTLDevice { queue.device }
    package var status: MTLCommandBufferStatus { state.withLock { progress } }
    package var error: (any Error)? { state.withLock { failure } }
    package var gpuStartTime: CFTimeInterval { state.withLock { times.start } }
    package var gpuEndTime: CFTimeInterval { state.withLock { times.end } }

    /// Adds work in order. What the frameworks above encode comes here, too.
    package func append(_ step: @escaping () throws -> Void) {
        precondition(status == .notEnqueued, "Metal: work is encoded into a command buffer that was committed.")
        work.append(step)
    }

    package func makeComputeCommandEncoder() -> (any MTLComputeCommandEncoder)? {
        ShimControl.strikes("encoder") ? nil : StandEncoder(self)
    }

    package func commit() {
        precondition(status == .notEnqueued, "Metal: a command buffer is committed twice.")
        state.withLock { progress = .committed }
        let reference = Unmanaged.passRetained(self)
        // Raw bits, since a command buffer is no Sendable; from here on the worker alone touches the work.
        let bits = UInt(bitPattern: reference.toOpaque())
        queue.worker.async {
            guard let pointer = UnsafeRawPointer(bitPattern: bits) else { return }
            Unmanaged<StandCommandBuffer>.fromOpaque(pointer).takeRetainedValue().execute()
        }
    }

    private func execute() {
        let start = ProcessInfo.processInfo.systemUptime
        if ShimControl.isHostile { Thread.sleep(forTimeInterval: 0.002) }
        var outcome: (any Error)?
        do {
            if ShimControl.strikes("gpu") { throw MTLCommandBufferError(.pageFault) }
            if ShimControl.strikes("gpu_memory") { throw MTLCommandBufferError(.outOfMemory) }
            for step in work { try step() }
        } catch { outcome = error }
        work = []
        state.withLock {
            failure = outcome
            times = (start, ProcessInfo.processInfo.systemUptime)
            progress = outcome == nil ? .completed : .error
            state.broadcast()
        }
    }

    package func waitUntilCompleted() {
        state.withLock {
            precondition(progress != .notEnqueued, "Metal: the command buffer that is waited for was not committed.")
            while progress != .completed && progress != .error { state.wait() }
        }
    }
}

@available(*, unavailable)
extension StandCommandBuffer: @unchecked Sendable {}
