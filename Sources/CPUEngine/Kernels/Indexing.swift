import CKernels
import MIL

// Gather, scatter and sorting.

extension CPUKernels {
    static let indexing: [Kernel] = [
        Kernel(name: "gather") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let indices = try lowerer.dense(wideIndices(call, lowerer), for: call)
            let axis = try call.axis(rank: x.rank)
            let batch = try call.int("batch_dims")
            let output = lowerer.allocate(try lowerer.function.tensorType(id).shape, x.dtype)
            lowerer.define(id, output)
            guard output.count > 0 else { return }
            let batches = x.shape[..<batch].reduce(1, *)
            let outer = x.shape[batch..<axis].reduce(1, *)
            let (size, inner) = (x.shape[axis], x.shape[(axis + 1)...].reduce(1, *) * x.dtype.size)
            let count = indices.count / max(batches, 1)
            let (place, width) = (call.place, indices.dtype.size)
            lowerer.emit(
                call, kernel: "gather", reason: "rows copied", reads: [x, indices], writes: [output]
            ) { frame in
                for index in 0..<batches {
                    let positions = frame[indices] + index * count * width
                    let bad = mk_gather(
                        Int64(outer), Int64(size), Int64(inner), frame[x] + index * outer * size * inner, Int32(width), positions,
                        Int64(count), frame[output] + index * outer * count * inner)
                    if bad >= 0 { throw outOfRange(positions, Int(bad), width, size, place) }
                }
            }
        },
        Kernel(name: "gather_along_axis") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let indices = try lowerer.dense(wideIndices(call, lowerer), for: call)
            let axis = try call.axis(rank: x.rank)
            let output = lowerer.allocate(indices.shape, x.dtype)
            lowerer.define(id, output)
            guard output.count > 0 else { return }
            let (outer, size, inner) = CPUEngine.split(x.shape, at: axis)
            let (element, width, place) = (Int32(x.dtype.size), indices.dtype.size, call.place)
            let count = Int64(indices.shape[axis])
            lowerer.emit(call, kernel: "gather", reason: "elements copied", reads: [x, indices], writes: [output]) { frame in
                let bad = mk_gather_along_axis(
                    element, outer, size, inner, frame[x], Int32(width), frame[indices], count, frame[output])
                if bad >= 0 { throw outOfRange(frame[indices], Int(bad), width, Int(size), place) }
            }
        },
    ]

    /// The indices as int32, which every kernel reads.
    private static func wideIndices(_ call: Call, _ lowerer: Lowerer) throws -> View {
        let view = try lowerer.view(call.id("indices"))
        if view.dtype == .int32 || view.dtype == .int64 { return view }
        let wide = lowerer.allocate(view.shape, .int32)
        let code = [mk_instruction(opcode: Int32(MK_COPY.rawValue), out: 1, a: 0, b: 0, c: 0, p: 0, q: 0)]
        let tape = try PreparedTape(shape: view.shape, leaves: [view], code: code, result: 1, output: wide)
        lowerer.emit(call, kernel: "tape", reason: "indices as int32", reads: [view], writes: [wide]) { tape.run($0) }
        return wide
    }

    private static func outOfRange(_ indices: UnsafeRawPointer, _ position: Int, _ width: Int, _ size: Int, _ place: String) -> Failure {
        let value = width == 8 ? Int(indices.load(fromByteOffset: position * 8, as: Int64.self)) : Int(indices.load(fromByteOffset: position * 4, as: Int32.self))
        return Failure(.outOfRange, "\(place): the index \(value) at position \(position) lies outside an axis of size \(size).")
    }
}
