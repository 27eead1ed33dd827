import CKernels
import MIL
import Runtime
import Synchronization

/// A function prepared for the CPU. Kernels divide their work and size their room by the number of threads, so what is
/// prepared holds for one number; when that changes, the next run prepares the function again.
final class CPUExecutable: Executable {
    let inputs: [Port]
    let outputs: [Port]
    let plan: Plan
    let isBrief: Bool
    /// Threads of every run; nil takes the process's number.
    private let threads: Int?
    private let rooms: [TensorType]
    /// Makes the steps for a number of threads, which is then the calling thread's.
    private let lower: @Sendable (_ threads: Int) throws -> Assembly
    /// What is prepared, under the number of threads as its tag.
    private let place = Slot()
    private let preparing = Mutex(())

    init(device: String, threads fixed: Int?, lower: @escaping @Sendable (_ threads: Int) throws -> Assembly) throws {
        let threads = fixed ?? Threads.count
        let assembly = try lower(threads)
        self.threads = fixed
        self.lower = lower
        inputs = assembly.inputs
        outputs = assembly.outputs
        rooms = assembly.rooms
        plan = Plan(
            device: device, steps: assembly.steps.map(\.planned), workspaceBytes: assembly.workspaceBytes,
            packedBytes: assembly.packedBytes)
        isBrief = CPUExecutable.isBrief(assembly)
        place.fill(PreparedSteps(assembly), tag: UInt32(threads))
    }

    private static let briefKernels: Set = ["tape", "small gemm"]

    /// Elementwise work, or a small product, on memory that fits into the nearer caches.
    private static func isBrief(_ assembly: Assembly) -> Bool {
        let bytes = (assembly.inputs + assembly.outputs).reduce(0) {
            $0 + ($1.type.isFixed ? $1.type.byteCount : 1 << 20)
        }
        return bytes <= 256 << 10 && assembly.steps.count <= 2
            && assembly.steps.allSatisfy { briefKernels.contains($0.info.kernel) }
    }

    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
        guard inputs.count == self.inputs.count else {
            throw Failure(.invalidArgument, "The function takes \(self.inputs.count) inputs, not \(inputs.count).")
        }
        for (tensor, port) in zip(inputs, self.inputs) where tensor.type != port.type {
            throw Failure(
                tensor.dtype == port.type.dtype ? .invalidArgument : .wrongType,
                "The input '\(port.name)' is a \(tensor.type); it must be a \(port.type).")
        }
        var results = try rooms.map { Tensor($0, storage: try Storage(allocating: $0.byteCount)) }
        // Read once: if another thread changes the number meanwhile, that is for later runs.
        let threads = Threads.prepare(threads)
        if try !runPrepared(threads, inputs, &results, observer) {
            try prepare(for: threads).run(inputs, &results, observer)
        }
        return results
    }

    func run(
        from inputs: UnsafePointer<UnsafeMutableRawPointer>, into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws {
        let threads = Threads.prepare(threads)
        guard let object = place.enter(tag: UInt32(threads)) else {
            return try prepare(for: threads).run(from: inputs, into: outputs)
        }
        defer { _ = place.leave() }
        try object._withUnsafeGuaranteedRef {
            try unsafeDowncast($0, to: PreparedSteps.self).run(from: inputs, into: outputs)
        }
    }

    /// Runs what is prepared for this number of threads; false where nothing is.
    private func runPrepared(
        _ threads: Int, _ inputs: [Tensor], _ results: inout [Tensor], _ observer: Observer?
    ) throws -> Bool {
        guard let object = place.enter(tag: UInt32(threads)) else { return false }
        defer { _ = place.leave() }
        try unsafeDowncast(object.takeUnretainedValue(), to: PreparedSteps.self).run(inputs, &results, observer)
        return true
    }

    /// Prepares the function for another number of threads. Runs that still use the old form finish with it.
    private func prepare(for threads: Int) throws -> PreparedSteps {
        try preparing.withLock { _ in
            // Another thread may have done it while this one waited.
            if let object = place.enter(tag: UInt32(threads)) {
                defer { _ = place.leave() }
                return unsafeDowncast(object.takeUnretainedValue(), to: PreparedSteps.self)
            }
            let prepared = PreparedSteps(try lower(threads))
            if place.isEmpty || place.end(tag: place.tag).cleared { place.fill(prepared, tag: UInt32(threads)) }
            return prepared
        }
    }
}

/// Steps over buffers for one number of threads, and frames that wait to be used again.
private final class PreparedSteps: @unchecked Sendable {
    private let assembly: Assembly
    private let outputBuffers: [Int]
    private let inputBuffers: [Int]
    /// What the steps do, apart from what they are called: walking these counts no references.
    private let actions: UnsafeMutableBufferPointer<Assembly.Action>
    private let frames = FramePool()

    init(_ assembly: Assembly) {
        self.assembly = assembly
        var incoming = Array(repeating: -1, count: assembly.inputs.count)
        var outgoing = Array(repeating: -1, count: assembly.outputs.count)
        for (index, buffer) in assembly.buffers.enumerated() {
            switch buffer.place {
            case .input(let position): incoming[position] = index
            case .output(let position): outgoing[position] = index
            case .constant, .workspace: break
            }
        }
        inputBuffers = incoming
        outputBuffers = outgoing
        actions = .allocate(capacity: assembly.steps.count)
        _ = actions.initialize(from: assembly.steps.map(\.run))
    }

    deinit {
        actions.deinitialize()
        actions.deallocate()
    }

    func run(_ inputs: [Tensor], _ results: inout [Tensor], _ observer: Observer?) throws {
        let lent = try frames.take() ?? Unmanaged.passRetained(Frame(assembly))
        defer { frames.give(lent) }
        let frame = lent.takeUnretainedValue()
        for (tensor, buffer) in zip(inputs, inputBuffers) { frame.buffers[buffer] = tensor.pointer }
        for (tensor, buffer) in zip(results, outputBuffers) { frame.buffers[buffer] = tensor.pointer }
        if let observer {
            try observe(frame, observer)
        } else {
            for action in actions { try action(frame) }
        }
        // The callers' tensors must outlive the steps.
        withExtendedLifetime((inputs, results)) {}
        // What the data left empty goes from the shape, not from the memory.
        for (output, buffer) in assembly.open {
            var type = results[output].type
            type.shape[0] = min(frame.counts[buffer] ?? 0, type.shape[0])
            results[output] = Tensor(type, storage: results[output].storage)
        }
    }

    func run(
        from inputs: UnsafePointer<UnsafeMutableRawPointer>, into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws {
        let lent = try frames.take() ?? Unmanaged.passRetained(Frame(assembly))
        defer { frames.give(lent) }
        try lent._withUnsafeGuaranteedRef { frame in
            for index in inputBuffers.indices { frame.buffers[inputBuffers[index]] = inputs[index] }
            for index in outputBuffers.indices { frame.buffers[outputBuffers[index]] = outputs[index] }
            for index in actions.indices { try actions[index](frame) }
        }
    }

    private func observe(_ frame: Frame, _ observer: Observer) throws {
        for (index, step) in assembly.steps.enumerated() {
            let start = mk_nanoseconds()
            try step.run(frame)
            let elapsed = mk_nanoseconds() - start
            observer(index, elapsed) { step.writes.first.map { frame.tensor($0) } }
        }
    }
}

/// Frames that no run uses now. Slots are exchanged atomically: no lock, no wait.
private final class FramePool: @unchecked Sendable {
    private static let count = 16
    private typealias Place = Atomic<Unmanaged<Frame>?>
    private let places: UnsafeMutablePointer<Place>

    init() {
        places = .allocate(capacity: FramePool.count)
        for index in 0..<FramePool.count { (places + index).initialize(to: Place(nil)) }
    }

    func take() -> Unmanaged<Frame>? {
        for index in 0..<FramePool.count {
            if let frame = places[index].exchange(nil, ordering: .acquiringAndReleasing) { return frame }
        }
        return nil
    }

    func give(_ frame: Unmanaged<Frame>) {
        for index in 0..<FramePool.count
        where places[index].compareExchange(expected: nil, desired: frame, ordering: .acquiringAndReleasing).exchanged {
            return
        }
        frame.release()
    }

    deinit {
        while let frame = take() { frame.release() }
        places.deinitialize(count: FramePool.count)
        places.deallocate()
    }
}
