import CKernels
import MIL
import Runtime
import Synchronization

/// A function prepared for the CPU: steps over buffers, and frames that wait to be used again.
final class CPUExecutable: Executable {
    let inputs: [Port]
    let outputs: [Port]
    let plan: Plan
    private let assembly: Assembly
    private let outputBuffers: [Int]
    private let inputBuffers: [Int]
    private let frames = FramePool()

    init(_ assembly: Assembly, device: String) {
        self.assembly = assembly
        inputs = assembly.inputs
        outputs = assembly.outputs
        var (incoming, outgoing) = (Array(repeating: -1, count: inputs.count), Array(repeating: -1, count: outputs.count))
        for (index, buffer) in assembly.buffers.enumerated() {
            switch buffer.place {
            case .input(let position): incoming[position] = index
            case .output(let position): outgoing[position] = index
            case .constant, .workspace: break
            }
        }
        inputBuffers = incoming
        outputBuffers = outgoing
        plan = Plan(
            device: device, steps: assembly.steps.map(\.info), workspaceBytes: assembly.workspaceBytes,
            packedBytes: assembly.packedBytes)
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
        let results = outputs.map { Tensor($0.type, storage: Storage(byteCount: $0.type.byteCount)) }
        let frame = try frames.take() ?? Frame(assembly)
        defer { frames.give(frame) }
        for (tensor, buffer) in zip(inputs, inputBuffers) where buffer >= 0 { frame.buffers[buffer] = tensor.pointer }
        for (tensor, buffer) in zip(results, outputBuffers) { frame.buffers[buffer] = tensor.pointer }
        Threads.prepare()
        if let observer { try observe(frame, observer) } else { for step in assembly.steps { try step.run(frame) } }
        // The callers' tensors must outlive the steps.
        withExtendedLifetime(inputs) {}
        return results
    }

    private func observe(_ frame: Frame, _ observer: Observer) throws {
        for (index, step) in assembly.steps.enumerated() {
            let start = mk_nanoseconds()
            try step.run(frame)
            let elapsed = mk_nanoseconds() - start
            observer(index, elapsed) {
                guard let view = step.writes.first else { return nil }
                let tensor = Tensor(TensorType(view.dtype, view.shape), storage: Storage(byteCount: view.count * view.dtype.size))
                mk_copy(
                    Int32(view.dtype.size), Int32(view.rank), view.shape.map(Int64.init), tensor.pointer,
                    View.strides(of: view.shape).map(Int64.init), frame[view], view.strides.map(Int64.init))
                return tensor
            }
        }
    }
}

/// Frames that no run uses now. Slots are exchanged atomically: no lock, no wait.
private final class FramePool: @unchecked Sendable {
    private static let slots = 16
    private let places = (0..<slots).map { _ in Slot() }

    private final class Slot {
        let frame = Atomic<UnsafeMutableRawPointer?>(nil)
    }

    func take() -> Frame? {
        for place in places {
            if let pointer = place.frame.exchange(nil, ordering: .acquiringAndReleasing) {
                return Unmanaged<Frame>.fromOpaque(pointer).takeRetainedValue()
            }
        }
        return nil
    }

    func give(_ frame: Frame) {
        let pointer = Unmanaged.passRetained(frame).toOpaque()
        for place in places
        where place.frame.compareExchange(expected: nil, desired: pointer, ordering: .acquiringAndReleasing).exchanged {
            return
        }
        Unmanaged<Frame>.fromOpaque(pointer).release()
    }

    deinit { while take() != nil {} }
}
