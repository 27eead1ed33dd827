import CKernels
import MIL

/// What one run needs to itself: the workspace and a table of where each buffer lies. Frames are kept and used again.
final class Frame {
    /// Base address of each buffer: constants and workspace are fixed, inputs and outputs change with each run.
    let buffers: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let workspace: UnsafeMutableRawPointer
    let scratch: UnsafeMutableRawPointer
    #if ONEDNN
        let primitives: PrimitiveArguments
    #endif

    init(_ layout: Assembly) throws {
        workspace = .allocate(byteCount: max(layout.workspaceBytes, 64), alignment: 64)
        scratch = .allocate(byteCount: max(layout.scratchBytes, 64), alignment: 64)
        buffers = .allocate(capacity: max(layout.buffers.count, 1))
        for (index, buffer) in layout.buffers.enumerated() {
            switch buffer.place {
            case .constant(let tensor): buffers[index] = tensor.pointer
            case .workspace(let offset): buffers[index] = workspace + offset
            case .input, .output: buffers[index] = workspace
            }
        }
        #if ONEDNN
            primitives = try PrimitiveArguments(layout.primitives)
        #endif
    }

    deinit {
        workspace.deallocate()
        scratch.deallocate()
        buffers.deallocate()
    }

    subscript(_ view: View) -> UnsafeMutableRawPointer { buffers[view.buffer] + view.byteOffset }

    func floats(_ view: View) -> UnsafeMutablePointer<Float> { self[view].assumingMemoryBound(to: Float.self) }

    /// A copy of what a view shows now, in row-major order.
    func tensor(_ view: View) -> Tensor {
        let type = TensorType(view.dtype, view.shape)
        let tensor = Tensor(type, storage: Storage(byteCount: type.byteCount))
        guard type.count > 0 else { return tensor }
        mk_copy(
            Int32(view.dtype.size), Int32(view.rank), view.shape.map(Int64.init), tensor.pointer,
            View.strides(of: view.shape).map(Int64.init), self[view], view.strides.map(Int64.init))
        return tensor
    }
}
