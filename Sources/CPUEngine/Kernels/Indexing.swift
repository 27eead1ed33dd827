import CKernels
import MIL

// Gather, scatter and sorting.

extension CPUKernels {
    static let indexing: [Kernel] =
        chosen + [
            Kernel(name: "gather") { call, lowerer, _ in
                let id = call.operation.outputs[0]
                let x = try lowerer.dense(call.id("x"), for: call)
                let axis = try call.axis(rank: x.rank)
                let indices = try lowerer.indices(call, below: [x.shape[axis]])
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
                            Int64(outer), Int64(size), Int64(inner), frame[x] + index * outer * size * inner,
                            Int32(width),
                            positions,
                            Int64(count), frame[output] + index * outer * count * inner)
                        if bad >= 0 { throw outOfRange(positions, Int(bad), width, size, place) }
                    }
                }
            },
            Kernel(name: "gather_along_axis") { call, lowerer, _ in
                let id = call.operation.outputs[0]
                let x = try lowerer.dense(call.id("x"), for: call)
                let axis = try call.axis(rank: x.rank)
                let indices = try lowerer.indices(call, below: [x.shape[axis]])
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
                let batch = try call.int("batch_dims")
                let depths = x.shape[batch...].prefix(try call.type("indices").shape.last ?? 0)
                let indices = try lowerer.indices(call, below: Array(depths))
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
                    if bad >= 0 {
                        throw outOfRange(frame[indices], Int(bad), width, Int(sizes[Int(bad) % depth]), place)
                    }
                }
            },
            scatter("scatter") { call, data, indices in
                let axis = try call.axis(rank: data.rank)
                let (outer, size, inner) = split(data.shape, at: axis)
                let (width, count) = (Int32(indices.dtype.size), Int64(indices.count))
                return Scatter(sizes: [Int(size)]) { mode, element, dst, positions, updates in
                    mk_scatter(mode, element, outer, size, inner, dst, width, positions, count, updates)
                }
            },
            scatter("scatter_along_axis") { call, data, indices in
                let axis = try call.axis(rank: data.rank)
                let (outer, size, inner) = split(data.shape, at: axis)
                let (width, count) = (Int32(indices.dtype.size), Int64(indices.shape[axis]))
                return Scatter(sizes: [Int(size)]) { mode, element, dst, positions, updates in
                    mk_scatter_along_axis(mode, element, outer, size, inner, dst, width, positions, count, updates)
                }
            },
            scatter("scatter_nd") { call, data, indices in
                let depth = indices.shape.last ?? 0
                let sizes = Array(data.shape[..<depth])
                let inner = Int64(data.shape[depth...].reduce(1, *))
                let (width, count) = (Int32(indices.dtype.size), Int64(indices.shape.dropLast().reduce(1, *)))
                return Scatter(sizes: sizes) { mode, element, dst, positions, updates in
                    mk_scatter_nd(
                        mode, element, Int32(depth), sizes.map(Int64.init), inner, dst, width, positions, count, updates
                    )
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
                            "The update has shape \(update.shape); the slice has shape \(bounds.result)."
                        ).at(operation: place)
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
                try sort(
                    call, lowerer, k: type.shape[call.axis(rank: type.rank)], ascending: call.bool("ascending"),
                    values: outputs[0], positions: outputs.count > 1 ? outputs[1] : nil)
            },
            Kernel(name: "argsort") { call, lowerer, _ in
                try sort(
                    call, lowerer, ascending: call.bool("ascending"), values: nil, positions: call.operation.outputs[0])
            },
            Kernel(name: "sort") { call, lowerer, _ in
                try sort(
                    call, lowerer, ascending: call.bool("ascending"), values: call.operation.outputs[0], positions: nil)
            },
            Kernel(name: "search_sorted") { call, lowerer, _ in
                let id = call.operation.outputs[0]
                let (x, v) = (try lowerer.dense(call.id("x"), for: call), try lowerer.dense(call.id("v"), for: call))
                let output = lowerer.allocate(v.shape, try lowerer.function.tensorType(id).dtype)
                lowerer.define(id, output)
                let (element, right) = (x.dtype.element, try call.text("side") == "right")
                guard v.count > 0 else { return }
                lowerer.emit(call, kernel: "search", reason: "by halves", reads: [x, v], writes: [output]) { frame in
                    mk_search_sorted(
                        element, right ? 1 : 0, Int64(x.count), frame[x], Int64(v.count), frame[v],
                        Int32(output.dtype.size), frame[output])
                }
            },
            Kernel(name: "non_maximum_suppression", dtypes: lanes) { call, lowerer, _ in
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
                            count: outputs.count > 3
                                ? frame[outputs[3]].assumingMemoryBound(to: Int32.self) + batch : nil)
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
            .outOfRange,
            "the index \(value) at position \(position) of 'indices' lies outside an axis of size \(size)."
        ).at(operation: place)
    }

    /// What one scatter does to the result, which holds the data: -1, or the position of an index out of range.
    private struct Scatter: Sendable {
        /// Of the axes that indices count along, in turn.
        let sizes: [Int]
        let change:
            @Sendable (mk_scatter_mode, mk_element, UnsafeMutableRawPointer, UnsafeRawPointer, UnsafeRawPointer) ->
                Int64
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
            let data = try lowerer.dense(call.id("data"), for: call)
            let updates = try lowerer.dense(call.id("updates"), for: call)
            let indices = try lowerer.indices(call)
            let (element, mode) = (data.dtype.element, try scatterMode(call, data.dtype))
            let scatter = try plan(call, data, indices)
            try lowerer.validate(indices, of: call, below: scatter.sizes)
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
                let bad = Int(scatter.change(mode, element, frame[output], frame[indices], frame[updates]))
                if bad >= 0 {
                    throw outOfRange(frame[indices], bad, width, scatter.sizes[bad % scatter.sizes.count], place)
                }
            }
            lowerer.define(id, output)
        }
    }

    /// What a mode means for a type: the sum of booleans is the greater one, their product the smaller.
    private static func scatterMode(_ call: Call, _ dtype: DataType) throws -> mk_scatter_mode {
        let word = try call.text("mode")
        let refusal = Failure(.unsupported, "The mode '\(word)' has no meaning for \(dtype.name).")
        guard let mode = scatterModes[word] else { throw Failure(.bug, "A scatter has no such mode.") }
        switch (dtype, mode) {
        case (.bool, MK_SCATTER_ADD): return MK_SCATTER_MAX
        case (.bool, MK_SCATTER_MUL): return MK_SCATTER_MIN
        case (.bool, MK_SCATTER_SUB), (.bool, MK_SCATTER_DIV): throw refusal
        case (.complex64, MK_SCATTER_MAX), (.complex64, MK_SCATTER_MIN): throw refusal
        case (.complex128, MK_SCATTER_MAX), (.complex128, MK_SCATTER_MIN): throw refusal
        default: return mode
        }
    }

    /// The first k elements of each line along an axis, or their positions, or both.
    private static func sort(
        _ call: Call, _ lowerer: Lowerer, k: Int? = nil, ascending: Bool, values id: ValueID?, positions: ValueID?
    ) throws {
        let view = try lowerer.dense(call.id("x"), for: call)
        // A lone number is a line of one.
        let axis = view.rank == 0 ? 0 : try call.axis(rank: view.rank)
        let (outer, size, inner) = split(view.shape, at: axis)
        var shape = view.shape
        if let k { shape[axis] = k }
        let values = id.map { _ in lowerer.allocate(shape, view.dtype) }
        let places = try positions.map { lowerer.allocate(shape, try lowerer.function.tensorType($0).dtype) }
        if let id, let values { lowerer.define(id, values) }
        if let positions, let places { lowerer.define(positions, places) }
        let (element, first) = (view.dtype.element, Int64(k ?? Int(size)))
        lowerer.scratch(mk_sort_workspace(element, size))
        guard shape.reduce(1, *) > 0 else { return }
        lowerer.emit(
            call, kernel: "sort", reason: "equal elements keep their order", output: id ?? positions, reads: [view],
            writes: [values, places].compactMap { $0 }
        ) { frame in
            mk_sort(
                element, ascending ? 1 : 0, outer, size, inner, frame[view], first, values.map { frame[$0] },
                Int32(places?.dtype.size ?? 4), places.map { frame[$0] }, frame.scratch)
        }
    }

    /// Results whose size the elements decide: room for all, then the number that there are.
    private static let chosen: [Kernel] = [
        Kernel(name: "non_zero") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let output = try lowerer.allocateOpen(id, most: x.count, lowerer.function.tensorType(id).dtype)
            lowerer.define(id, output)
            let (element, shape, width) = (x.dtype.element, x.shape.map(Int64.init), Int32(output.dtype.size))
            lowerer.emit(call, kernel: "non_zero", reason: "in row-major order", reads: [x], writes: [output]) {
                frame in
                let count = mk_non_zero(element, Int32(shape.count), shape, frame[x], width, frame[output])
                frame.tell(output, count: Int(count))
            }
        },
        Kernel(name: "masked_select") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let (x, mask) = (try lowerer.dense(call.id("x"), for: call), try lowerer.dense(call.id("mask"), for: call))
            let output = try lowerer.allocateOpen(id, most: x.count, x.dtype)
            let (size, count) = (Int32(x.dtype.size), Int64(x.count))
            lowerer.emit(
                call, kernel: "masked_select", reason: "in row-major order", reads: [x, mask], writes: [output]
            ) { frame in
                let flags = frame[mask].assumingMemoryBound(to: UInt8.self)
                frame.tell(output, count: Int(mk_masked_select(size, count, frame[x], flags, frame[output])))
            }
            lowerer.define(
                id, try lowerer.converted(output, to: lowerer.function.tensorType(id).dtype, for: call))
        },
        Kernel(name: "unique") { call, lowerer, _ in
            let ids = call.operation.outputs
            let x = try lowerer.dense(call.id("x"), for: call)
            let views = try ids.enumerated().map { place, id in
                let dtype = place == 0 ? x.dtype : try lowerer.function.tensorType(id).dtype
                return try lowerer.allocateOpen(id, most: x.count, dtype)
            }
            guard views.count == 4 else { throw Failure(.bug, "unique has four results.") }
            let (element, count, width) = (x.dtype.element, Int64(x.count), Int32(views[1].dtype.size))
            lowerer.scratch(mk_unique_workspace(count))
            lowerer.emit(call, kernel: "unique", reason: "sorted, then compared", reads: [x], writes: views) { frame in
                let found = mk_unique(
                    element, count, frame[x], frame[views[0]], width, frame[views[1]], frame[views[2]],
                    frame[views[3]], frame.scratch)
                for view in views { frame.tell(view, count: Int(found)) }
            }
            for (id, view) in zip(ids, views) {
                lowerer.define(id, try lowerer.converted(view, to: lowerer.function.tensorType(id).dtype, for: call))
            }
        },
    ]
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

    /// A value as fp32 in row-major order.
    func numbers(_ name: String, _ call: Call) throws -> View {
        try dense(converted(view(call.id(name)), to: .float32, for: call), for: call)
    }

    /// The indices of a gather, checked if the call asks for it.
    func indices(_ call: Call, below sizes: [Int]) throws -> View {
        let view = try indices(call)
        try validate(view, of: call, below: sizes)
        return view
    }

    /// With `validate_indices`, a step that fails on an index outside its axis. Type inference checks constant ones.
    func validate(_ indices: View, of call: Call, below sizes: [Int]) throws {
        guard try call.bool("validate_indices"), call.constant("indices") == nil, indices.count > 0, !sizes.isEmpty
        else { return }
        let place = call.place
        emit(call, kernel: "indices", reason: "validate_indices", reads: [indices], writes: []) { frame in
            for (position, index) in frame.integers(indices).enumerated() {
                let size = sizes[position % sizes.count]
                guard (0..<size).contains(index) else {
                    throw invalidIndex(index, at: position, size: size).at(operation: place)
                }
            }
        }
    }

    /// Indices as the kernels read them: int32 or int64, in row-major order.
    func indices(_ call: Call, _ name: String = "indices") throws -> View {
        let view = try dense(call.id(name), for: call)
        guard view.dtype != .int32, view.dtype != .int64 else { return view }
        let wide = allocate(view.shape, .int64)
        let element = view.dtype.element
        emit(call, kernel: "indices", reason: "\(view.dtype.name) as int64", reads: [view], writes: [wide]) { frame in
            mk_whole_indices(
                element, Int64(view.count), frame[view], frame[wide].assumingMemoryBound(to: Int64.self))
        }
        return wide
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
