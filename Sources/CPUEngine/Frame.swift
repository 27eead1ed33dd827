import CKernels
import MIL

/// What one run needs to itself: the workspace and a table of where each buffer lies. Frames are kept and used again.
final class Frame {
    /// Base address of each buffer: constants and workspace are fixed, inputs and outputs change with each run.
    let buffers: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let workspace: Storage
    private let room: Storage
    let scratch: UnsafeMutableRawPointer
    /// The first dimensions of results where they are known only during the run, by buffer.
    private(set) var counts: [Int: Int] = [:]
    #if ONEDNN
        let primitives: PrimitiveArguments
    #endif

    init(_ layout: Assembly) throws {
        workspace = try Storage(allocating: max(layout.workspaceBytes, 64))
        room = try Storage(allocating: max(layout.scratchBytes, 64))
        scratch = room.pointer
        buffers = .allocate(capacity: max(layout.buffers.count, 1))
        for (index, buffer) in layout.buffers.enumerated() {
            switch buffer.place {
            case .constant(let tensor): buffers[index] = tensor.pointer
            case .workspace(let offset): buffers[index] = workspace.pointer + offset
            case .input, .output: buffers[index] = workspace.pointer
            }
        }
        #if ONEDNN
            primitives = try PrimitiveArguments(layout.primitives)
        #endif
    }

    deinit {
        buffers.deallocate()
    }

    subscript(_ address: View.Address) -> UnsafeMutableRawPointer { buffers[address.buffer] + address.byteOffset }

    subscript(_ view: View) -> UnsafeMutableRawPointer { buffers[view.buffer] + view.byteOffset }

    func floats(_ view: View) -> UnsafeMutablePointer<Float> { self[view].assumingMemoryBound(to: Float.self) }

    /// Says how much of a result's room is taken.
    func tell(_ view: View, count: Int) { counts[view.buffer] = count }

    /// A copy of what a view shows now, in row-major order.
    func tensor(_ view: View) -> Tensor {
        var view = view
        if let count = counts[view.buffer], let room = view.shape.first { view.shape[0] = min(count, room) }
        let type = TensorType(view.dtype, view.shape)
        let tensor = Tensor(type, storage: Storage(byteCount: type.byteCount))
        guard type.count > 0 else { return tensor }
        mk_copy(
            Int32(view.dtype.size), Int32(view.rank), view.shape.map(Int64.init), tensor.pointer,
            View.strides(of: view.shape).map(Int64.init), self[view], view.strides.map(Int64.init))
        return tensor
    }
}
