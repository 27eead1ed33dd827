import CKernels
import MIL

// Gather, scatter and sorting.

extension CPUKernels {
    static let indexing: [Kernel] = [
        Kernel(name: "gather") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let indices = try lowerer.indices(call)
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
                        Int64(outer), Int64(size), Int64(inner), frame[x] + index * outer * size * inner, Int32(width),
                        positions,
                        Int64(count), frame[output] + index * outer * count * inner)
                    if bad >= 0 { throw outOfRange(positions, Int(bad), width, size, place) }
                }
            }
        },
        Kernel(name: "gather_along_axis") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let indices = try lowerer.indices(call)
            let axis = try call.axis(rank: x.rank)
            let output = lowerer.allocate(indices.shape, x.dtype)
            lowerer.define(id, output)
            guard output.count > 0 else { return }
            let (outer, size, inner) = CPUEngine.split(x.shape, at: axis)
            let (element, width, place) = (Int32(x.dtype.size), indices.dtype.size, call.place)
            let count = Int64(indices.shape[axis])
            lowerer.emit(call, kernel: "gather", reason: "elements copied", reads: [x, indices], writes: [output]) {
                frame in
                let bad = mk_gather_along_axis(
                    element, outer, size, inner, frame[x], Int32(width), frame[indices], count, frame[output])
                if bad >= 0 { throw outOfRange(frame[indices], Int(bad), width, Int(size), place) }
            }
        },
        Kernel(name: "gather_nd") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let indices = try lowerer.indices(call)
            let batch = try call.int("batch_dims")
            let output = lowerer.allocate(try lowerer.function.tensorType(id).shape, x.dtype)
            lowerer.define(id, output)
            guard output.count > 0, let depth = indices.shape.last else { return }
            let sizes = x.shape[batch..<(batch + depth)].map(Int64.init)
            let batches = x.shape[..<batch].reduce(1, *)
            let count = indices.shape.dropLast().reduce(1, *) / batches
            let bytes = x.shape[(batch + depth)...].reduce(1, *) * x.dtype.size
            let (width, place) = (indices.dtype.size, call.place)
            lowerer.emit(call, kernel: "gather", reason: "slices copied", reads: [x, indices], writes: [output]) {
                frame in
                let bad = mk_gather_nd(
                    Int64(batches), Int32(depth), sizes, Int64(bytes), frame[x], Int32(width), frame[indices],
                    Int64(count),
                    frame[output])
                if bad >= 0 { throw outOfRange(frame[indices], Int(bad), width, Int(sizes[Int(bad) % depth]), place) }
            }
        },
        scatter("scatter") { call, data, indices in
            let axis = try call.axis(rank: data.rank)
            let (outer, size, inner) = split(data.shape, at: axis)
            let (width, count) = (Int32(indices.dtype.size), Int64(indices.count))
            return Scatter(sizes: [Int(size)]) { mode, whole, dst, positions, updates in
                mk_scatter(mode, whole, outer, size, inner, dst, width, positions, count, updates)
            }
        },
        scatter("scatter_along_axis") { call, data, indices in
            let axis = try call.axis(rank: data.rank)
            let (outer, size, inner) = split(data.shape, at: axis)
            let (width, count) = (Int32(indices.dtype.size), Int64(indices.shape[axis]))
            return Scatter(sizes: [Int(size)]) { mode, whole, dst, positions, updates in
                mk_scatter_along_axis(mode, whole, outer, size, inner, dst, width, positions, count, updates)
            }
        },
        scatter("scatter_nd") { call, data, indices in
            let depth = indices.shape.last ?? 0
            let sizes = Array(data.shape[..<depth])
            let inner = Int64(data.shape[depth...].reduce(1, *))
            let (width, count) = (Int32(indices.dtype.size), Int64(indices.shape.dropLast().reduce(1, *)))
            return Scatter(sizes: sizes) { mode, whole, dst, positions, updates in
                mk_scatter_nd(
                    mode, whole, Int32(depth), sizes.map(Int64.init), inner, dst, width, positions, count, updates)
            }
        },
        Kernel(name: "slice_update") { call, lowerer, _ in
            let x = try lowerer.dense(call.id("x"), for: call)
            let update = try lowerer.view(call.id("update"))
            let reader = try SliceReader(call, lowerer)
            let output = lowerer.allocate(x.shape, x.dtype)
            lowerer.define(call.operation.outputs[0], output)
            let (bytes, place) = (x.count * x.dtype.size, call.place)
            // What is read after x is written must not lie in the same memory.
            let isAlone = !([update] + reader.views).contains { $0.buffer == x.buffer }
            lowerer.emit(
                call, kernel: "copy", reason: "the slice written into a copy, or in place where x ends here",
                reads: [x, update] + reader.views, writes: [output], inPlace: isAlone ? [(output, x)] : []
            ) { frame in
                let bounds = try reader.read(frame)
                guard bounds.result == update.shape else {
                    throw Failure(
                        .invalidArgument,
                        "\(place): The update has shape \(update.shape); the slice has shape \(bounds.result).")
                }
                if frame[output] != frame[x] { frame[output].copyMemory(from: frame[x], byteCount: bytes) }
                frame.copy(
                    update.inserting(bounds.squeezed.indices.filter { bounds.squeezed[$0] }, rank: output.rank),
                    to: output.part(start: bounds.begin, step: bounds.stride, sizes: bounds.length))
            }
        },
        Kernel(name: "topk") { call, lowerer, _ in
            let outputs = call.operation.outputs
            let type = try lowerer.function.tensorType(outputs[0])
            let x = try lowerer.dense(lowerer.lanes(call.id("x"), for: call), for: call)
            let axis = try call.axis(rank: x.rank)
            let (outer, size, inner) = split(x.shape, at: axis)
            let (whole, ascending) = (try wholeLanes(x), try call.bool("ascending"))
            let k = Int64(type.shape[axis])
            let (values, positions) = (lowerer.allocate(type.shape, x.dtype), lowerer.allocate(type.shape, .int32))
            lowerer.scratch(mk_topk_workspace(size))
            if values.count > 0 {
                lowerer.emit(
                    call, kernel: "topk", reason: "equal elements keep their order", reads: [x],
                    writes: [values, positions]
                ) { frame in
                    mk_topk(
                        whole, ascending ? 1 : 0, outer, size, inner, frame[x], k, frame[values],
                        frame[positions].assumingMemoryBound(to: Int32.self), frame.scratch)
                }
            }
            lowerer.define(outputs[0], try lowerer.converted(values, to: type.dtype, for: call))
            guard outputs.count > 1 else { return }
            lowerer.define(
                outputs[1],
                try lowerer.converted(positions, to: lowerer.function.tensorType(outputs[1]).dtype, for: call))
        },
        Kernel(name: "non_zero") { call, lowerer, _ in
            let x = try lowerer.dense(call.id("x"), for: call)
            let output = try lowerer.allocate(for: call.operation.outputs[0], order: [0, 1])
            lowerer.define(call.operation.outputs[0], output)
            guard x.dtype.isWhole || x.dtype == .float32 else {
                throw Failure(
                    .unsupported, "The CPU engine has no such kernel for \(x.dtype.name); cast to fp32 or int32.")
            }
            let (size, whole, shape) = (Int32(x.dtype.size), x.dtype.isWhole, x.shape.map(Int64.init))
            guard output.count > 0 else { return }
            lowerer.emit(call, kernel: "non_zero", reason: "in row-major order", reads: [x], writes: [output]) {
                frame in
                mk_non_zero(
                    size, whole ? 1 : 0, Int32(shape.count), shape, frame[x],
                    frame[output].assumingMemoryBound(to: Int32.self))
            }
        },
        Kernel(name: "non_maximum_suppression") { call, lowerer, _ in
            let (boxes, scores) = (try lowerer.numbers("boxes", call), try lowerer.numbers("scores", call))
            let suppression = Suppression(
                boxes: boxes.shape[2], classes: scores.shape[1], most: try call.int("max_boxes"),
                overlap: try call.float("iou_threshold"),
                least: try call.has("score_threshold") ? call.float("score_threshold") : nil,
                isPerClass: try call.bool("per_class_suppression"))
            let outputs = try call.operation.outputs.map { id in
                let type = try lowerer.function.tensorType(id)
                let view = lowerer.allocate(type.shape, type.dtype)
                lowerer.define(id, view)
                return view
            }
            let batches = boxes.shape[0]
            lowerer.emit(
                call, kernel: "suppression", reason: "best first, against those kept", reads: [boxes, scores],
                writes: outputs
            ) { frame in
                for batch in 0..<batches {
                    suppression.run(
                        boxes: frame.floats(boxes) + batch * 4 * suppression.boxes,
                        scores: frame.floats(scores) + batch * suppression.classes * suppression.boxes,
                        keptBoxes: frame.floats(outputs[0]) + batch * 4 * suppression.most,
                        keptScores: frame.floats(outputs[1]) + batch * suppression.classes * suppression.most,
                        positions: frame[outputs[2]].assumingMemoryBound(to: Int32.self) + batch * suppression.most,
                        count: outputs.count > 3 ? frame[outputs[3]].assumingMemoryBound(to: Int32.self) + batch : nil)
                }
            }
        },
    ]

    private static func outOfRange(
        _ indices: UnsafeRawPointer, _ position: Int, _ width: Int, _ size: Int, _ place: String
    ) -> Failure {
        let value =
            width == 8
            ? Int(indices.load(fromByteOffset: position * 8, as: Int64.self))
            : Int(indices.load(fromByteOffset: position * 4, as: Int32.self))
        return Failure(
            .outOfRange, "\(place): the index \(value) at position \(position) lies outside an axis of size \(size).")
    }

    /// What one scatter does to the result, which holds the data: -1, or the position of an index out of range.
    private struct Scatter: Sendable {
        /// Of the axes that indices count along, in turn.
        let sizes: [Int]
        let change:
            @Sendable (mk_scatter_mode, Int32, UnsafeMutableRawPointer, UnsafeRawPointer, UnsafeRawPointer) -> Int64
    }

    private static let scatterModes: [String: mk_scatter_mode] = [
        "update": MK_SCATTER_UPDATE, "add": MK_SCATTER_ADD, "sub": MK_SCATTER_SUB, "mul": MK_SCATTER_MUL,
        "div": MK_SCATTER_DIV,
        "max": MK_SCATTER_MAX, "min": MK_SCATTER_MIN,
    ]

    private static func scatter(_ name: String, _ plan: @escaping @Sendable (Call, View, View) throws -> Scatter)
        -> Kernel
    {
        Kernel(name: name) { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let data = try lowerer.dense(lowerer.lanes(call.id("data"), for: call), for: call)
            let updates = try lowerer.dense(lowerer.lanes(call.id("updates"), for: call), for: call)
            let indices = try lowerer.indices(call)
            let whole = try wholeLanes(data)
            guard let mode = try scatterModes[call.text("mode")] else {
                throw Failure(.bug, "A scatter has no such mode.")
            }
            let scatter = try plan(call, data, indices)
            let output = lowerer.allocate(data.shape, data.dtype)
            let (bytes, width, place) = (data.count * data.dtype.size, indices.dtype.size, call.place)
            // What is read after the data is written must not lie in the same memory.
            let isAlone = data.buffer != updates.buffer && data.buffer != indices.buffer
            lowerer.emit(
                call, kernel: "scatter", reason: "in the order of the updates", reads: [data, indices, updates],
                writes: [output],
                inPlace: isAlone ? [(output, data)] : []
            ) { frame in
                if frame[output] != frame[data] { frame[output].copyMemory(from: frame[data], byteCount: bytes) }
                let bad = Int(scatter.change(mode, whole, frame[output], frame[indices], frame[updates]))
                if bad >= 0 {
                    throw outOfRange(frame[indices], bad, width, scatter.sizes[bad % scatter.sizes.count], place)
                }
            }
            lowerer.define(id, try lowerer.converted(output, to: lowerer.function.tensorType(id).dtype, for: call))
        }
    }
}

extension Lowerer {
    /// A value in another element type; the same view where it has it already.
    func converted(_ view: View, to dtype: DataType, for call: Call) throws -> View {
        guard view.dtype != dtype else { return view }
        let result = allocate(view.shape, dtype)
        guard result.count > 0 else { return result }
        let opcode =
            switch (view.dtype.isWhole, dtype.isWhole) {
            case (true, false): MK_F_FROM_I
            case (false, true): dtype == .bool ? MK_BOOL_FROM_F : MK_I_FROM_F
            case (true, true): dtype == .bool ? MK_BOOL_FROM_I : MK_COPY
            case (false, false): MK_COPY
            }
        let code = [mk_instruction(opcode: Int32(opcode.rawValue), out: 1, a: 0, b: 0, c: 0, p: 0, q: 0)]
        let tape = try PreparedTape(shape: view.shape, leaves: [view], code: code, result: 1, output: result)
        emit(call, kernel: "tape", reason: "\(view.dtype.name) as \(dtype.name)", reads: [view], writes: [result]) {
            tape.run($0)
        }
        return result
    }

    /// A value as the kernels that take fp32 or int32 want it: narrower whole numbers become int32.
    func lanes(_ id: ValueID, for call: Call) throws -> View {
        let view = try view(id)
        return try converted(view, to: view.dtype.isWhole ? .int32 : .float32, for: call)
    }

    /// A value as fp32 in row-major order.
    func numbers(_ name: String, _ call: Call) throws -> View {
        try dense(converted(view(call.id(name)), to: .float32, for: call), for: call)
    }

    /// Indices as the kernels read them: int32 or int64, in row-major order.
    func indices(_ call: Call, _ name: String = "indices") throws -> View {
        let view = try view(call.id(name))
        return try dense(view.dtype == .int64 ? view : converted(view, to: .int32, for: call), for: call)
    }
}

/// Non-maximum suppression of one image: boxes in falling order of score, each unless a kept one overlaps it too much.
private struct Suppression: Sendable {
    let boxes: Int
    let classes: Int
    let most: Int
    let overlap: Float
    /// The score below which boxes are dropped first.
    let least: Float?
    let isPerClass: Bool

    /// Boxes lie as [4, boxes]: centre x, centre y, width, height; scores as [classes, boxes]. Results likewise, filled up
    /// with 0, positions with -1. Where no box reaches `least`, the best one is kept, so that there is always one.
    func run(
        boxes box: UnsafePointer<Float>, scores: UnsafePointer<Float>, keptBoxes: UnsafeMutablePointer<Float>,
        keptScores: UnsafeMutablePointer<Float>, positions: UnsafeMutablePointer<Int32>,
        count: UnsafeMutablePointer<Int32>?
    ) {
        let best = (0..<boxes).map { index in
            (0..<classes).reduce((score: -Float.infinity, kind: 0)) { best, kind in
                let score = scores[kind * boxes + index]
                return score > best.score ? (score, kind) : best
            }
        }
        let order = (0..<boxes).sorted { best[$0].score != best[$1].score ? best[$0].score > best[$1].score : $0 < $1 }
        var kept: [Int] = []
        for index in order where kept.count < most {
            if let least, best[index].score < least, !kept.isEmpty { break }
            let isCovered = kept.contains { other in
                (!isPerClass || best[other].kind == best[index].kind) && shared(box, index, other) > overlap
            }
            if !isCovered { kept.append(index) }
            if let least, best[index].score < least { break }
        }
        for place in 0..<most {
            let index = place < kept.count ? kept[place] : nil
            for side in 0..<4 { keptBoxes[side * most + place] = index.map { box[side * boxes + $0] } ?? 0 }
            for kind in 0..<classes { keptScores[kind * most + place] = index.map { scores[kind * boxes + $0] } ?? 0 }
            positions[place] = Int32(index ?? -1)
        }
        count?.pointee = Int32(kept.count)
    }

    /// The shared part of the union of two boxes.
    private func shared(_ box: UnsafePointer<Float>, _ a: Int, _ b: Int) -> Float {
        func length(_ axis: Int) -> Float {
            let (x, y) = (box[axis * boxes + a], box[axis * boxes + b])
            let (half, other) = (box[(axis + 2) * boxes + a] / 2, box[(axis + 2) * boxes + b] / 2)
            return max(0, min(x + half, y + other) - max(x - half, y - other))
        }
        let inner = length(0) * length(1)
        let union = box[2 * boxes + a] * box[3 * boxes + a] + box[2 * boxes + b] * box[3 * boxes + b] - inner
        return union > 0 ? inner / union : 0
    }
}
