import CKernels
import MIL

// Shape ops: most change the view of the same bytes; the others are strided copies.

extension CPUKernels {
    static let shape: [Kernel] = [
        view("reshape") { x, call, lowerer in
            let shape = try lowerer.function.tensorType(call.operation.outputs[0]).shape
            return x.reshaped(shape) ?? lowerer.dense(x, for: call).reshaped(shape)!
        },
        view("expand_dims") { x, call, lowerer in
            let rank = try lowerer.function.tensorType(call.operation.outputs[0]).rank
            let axes = try call.ints("axes").map { $0 < 0 ? $0 + rank : $0 }
            return x.inserting(axes, rank: rank)
        },
        view("squeeze") { x, call, lowerer in
            let shape = try lowerer.function.tensorType(call.operation.outputs[0]).shape
            return x.reshaped(shape)!
        },
        view("transpose") { x, call, _ in
            x.permuted(try call.axes("perm", rank: x.rank) ?? Array(x.shape.indices))
        },
        Kernel(name: "slice_by_index") { call, lowerer, _ in
            let x = try lowerer.view(call.id("x"))
            let shape = try lowerer.function.tensorType(call.operation.outputs[0]).shape
            let reader = try SliceReader(call, lowerer)
            guard let bounds = reader.known else {
                return try moving(call, lowerer, x, by: reader.views) { try reader.read($0) }
            }
            let part = x.part(start: bounds.begin, step: bounds.stride, sizes: bounds.length)
            lowerer.define(
                call.operation.outputs[0], part.reshaped(shape) ?? lowerer.dense(part, for: call).reshaped(shape)!)
        },
        Kernel(name: "slice_by_size") { call, lowerer, _ in
            let x = try lowerer.view(call.id("x"))
            let sizes = try lowerer.function.tensorType(call.operation.outputs[0]).shape
            @Sendable func bounds(_ given: [Int]) throws -> SliceBounds {
                let begin = zip(given, x.shape).map { $0 < 0 ? $0 + $1 : $0 }
                for axis in x.shape.indices where begin[axis] < 0 || begin[axis] + sizes[axis] > x.shape[axis] {
                    throw Failure(
                        .outOfRange,
                        "The slice of \(sizes[axis]) elements from \(given[axis]) leaves axis \(axis), which has \(x.shape[axis]) elements."
                    )
                }
                return try SliceBounds(x.shape, begin: begin, end: zip(begin, sizes).map { $0 + $1 })
            }
            guard call.constant("begin") == nil else {
                let known = try bounds(call.ints("begin"))
                let step = Array(repeating: 1, count: x.rank)
                return lowerer.define(call.operation.outputs[0], x.part(start: known.begin, step: step, sizes: sizes))
            }
            let begin = try lowerer.indices(call, "begin")
            try moving(call, lowerer, x, by: [begin]) { try bounds($0.integers(begin)) }
        },
        view("reverse") { x, call, _ in
            let axes = try call.axes(rank: x.rank) ?? Array(0..<x.rank)
            return x.part(
                start: x.shape.indices.map { axes.contains($0) ? max(x.shape[$0] - 1, 0) : 0 },
                step: x.shape.indices.map { axes.contains($0) ? -1 : 1 }, sizes: x.shape)
        },
        Kernel(name: "split") { call, lowerer, _ in
            let x = try lowerer.view(call.id("x"))
            let axis = try call.axis(rank: x.rank)
            var start = 0
            for id in call.operation.outputs {
                let size = try lowerer.function.tensorType(id).shape[axis]
                lowerer.define(id, x.part(axis: axis, start: start, size: size))
                start += size
            }
        },
        Kernel(name: "concat") { call, lowerer, _ in
            let views = try call.ids("values").map(lowerer.view)
            let type = try lowerer.function.tensorType(call.operation.outputs[0])
            let axis = try call.axis(rank: type.rank)
            // Lone numbers join to a list.
            let lines = views.map { $0.rank == 0 ? $0.inserting([0], rank: 1) : $0 }
            try assemble(
                lines, call, lowerer, interleave: call.has("interleave") && call.bool("interleave"), axis: axis, type)
        },
        Kernel(name: "stack") { call, lowerer, _ in
            let type = try lowerer.function.tensorType(call.operation.outputs[0])
            let axis = try call.axis(rank: type.rank)
            let views = try call.ids("values").map { try lowerer.view($0).inserting([axis], rank: type.rank) }
            try assemble(views, call, lowerer, interleave: false, axis: axis, type)
        },
        Kernel(name: "tile") { call, lowerer, _ in
            let x = try lowerer.view(call.id("x"))
            let output = try lowerer.allocate(for: call.operation.outputs[0], order: Array(0..<x.rank))
            lowerer.define(call.operation.outputs[0], output)
            // Each axis as [repeats, size]: the repeats have stride 0 in the operand.
            var (from, to) = (x, output)
            from.shape = []
            from.strides = []
            to.shape = []
            to.strides = []
            for axis in 0..<x.rank {
                let repeats = x.shape[axis] == 0 ? 0 : output.shape[axis] / x.shape[axis]
                from.shape += [repeats, x.shape[axis]]
                from.strides += [0, x.strides[axis]]
                to.shape += [repeats, x.shape[axis]]
                to.strides += [x.shape[axis] * output.strides[axis], output.strides[axis]]
            }
            lowerer.copy(from, to: to, for: call, why: "repeats are read again")
        },
        Kernel(name: "pad") { call, lowerer, _ in
            let mode = try call.text("mode")
            var x = try lowerer.view(call.id("x"))
            let pad = try call.ints("pad")
            let first = x.rank - pad.count / 2
            let id = call.operation.outputs[0]
            let type = try lowerer.function.tensorType(id)
            let order = x.memoryOrder
            if mode == "constant" {
                let output = lowerer.allocate(type.shape, type.dtype, order: order)
                lowerer.define(id, output)
                let value = try padding(call, type.dtype)
                var middle = output
                for axis in first..<x.rank {
                    middle = middle.part(axis: axis, start: pad[2 * (axis - first)], size: x.shape[axis])
                }
                let (source, target) = (x, middle)
                let (size, rank, count) = (Int32(type.dtype.size), Int32(type.rank), Int64(type.count))
                let (shape, to, from) = (
                    x.shape.map(Int64.init), target.strides.map(Int64.init), source.strides.map(Int64.init)
                )
                guard count > 0 else { return }
                lowerer.emit(call, kernel: "pad", reason: "filled, then copied in", reads: [x], writes: [output]) {
                    frame in
                    mk_fill(size, frame[output], count, value.pointer)
                    if source.count > 0 { mk_copy(size, rank, shape, frame[target], to, frame[source], from) }
                }
                return
            }
            let kind = mode == "reflect" ? MK_PAD_REFLECT : MK_PAD_REPLICATE
            // One axis at a time.
            for axis in first..<x.rank where pad[2 * (axis - first)] != 0 || pad[2 * (axis - first) + 1] != 0 {
                let (before, after) = (pad[2 * (axis - first)], pad[2 * (axis - first) + 1])
                let source = lowerer.dense(x, for: call)
                var shape = source.shape
                shape[axis] += before + after
                let output = lowerer.allocate(shape, x.dtype)
                let (outer, size, inner) = CPUEngine.split(source.shape, at: axis)
                let width = Int32(x.dtype.size)
                lowerer.emit(call, kernel: "pad", reason: mode, reads: [source], writes: [output]) { frame in
                    mk_pad(
                        kind, width, outer, size, inner, Int64(before), Int64(after), nil, frame[source], frame[output])
                }
                x = output
            }
            lowerer.define(id, x)
        },
        Kernel(name: "fill") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let type = try lowerer.function.tensorType(id)
            guard let value = call.constant("value") else { throw Failure(.bug, "A fill has no value.") }
            let view = lowerer.constant(type.dtype == .float32 ? lowerer.widened(value) : value)
            lowerer.define(id, view.reshaped([])!.broadcast(to: type.shape))
        },
        Kernel(name: "range_1d") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let dtype = try lowerer.function.tensorType(id).dtype
            if dtype.isInteger, dtype.size == 8, let range = try WholeRange(call) {
                let numbers = Tensor((0..<range.count).map { Int64(range.start &+ $0 &* range.step) })
                return lowerer.define(
                    id, lowerer.constant(Tensor(TensorType(dtype, [range.count]), storage: numbers.storage)))
            }
            let range = try RangeNumbers(call)
            let numbers = (0..<range.count).map { range.start + Double($0) * range.step }
            lowerer.define(id, lowerer.constant(Tensor(numbers, dtype: dtype, shape: [range.count])))
        },
        Kernel(name: "one_hot") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let type = try lowerer.function.tensorType(id)
            let indices = try lowerer.indices(call)
            let axis = try call.axis(rank: type.rank)
            let (outer, depth, inner) = CPUEngine.split(type.shape, at: axis)
            let (on, off) = (try call.known("on_value"), try call.known("off_value"))
            let (yes, no) = type.dtype == .float32 ? (lowerer.widened(on), lowerer.widened(off)) : (on, off)
            let output = lowerer.allocate(type.shape, type.dtype)
            lowerer.define(id, output)
            guard output.count > 0 else { return }
            let (size, width) = (Int32(type.dtype.size), Int32(indices.dtype.size))
            lowerer.emit(
                call, kernel: "one_hot", reason: "set where the index says", reads: [indices], writes: [output]
            ) { frame in
                mk_one_hot(
                    size, outer, depth, inner, width, frame[indices], yes.pointer, no.pointer, frame[output])
                withExtendedLifetime((yes, no)) {}
            }
        },
        Kernel(name: "band_part") { call, lowerer, _ in
            let x = try lowerer.dense(call.id("x"), for: call)
            let output = lowerer.allocate(x.shape, x.dtype)
            lowerer.define(call.operation.outputs[0], output)
            let (lower, upper) = (Int64(try call.int("lower")), Int64(try call.int("upper")))
            let (rows, columns) = (x.shape[x.rank - 2], x.shape[x.rank - 1])
            guard x.count > 0 else { return }
            let (size, matrices) = (Int32(x.dtype.size), Int64(x.count / (rows * columns)))
            lowerer.emit(call, kernel: "band", reason: "0 outside", reads: [x], writes: [output]) { frame in
                mk_band(size, matrices, Int64(rows), Int64(columns), lower, upper, frame[x], frame[output])
            }
        },
        view("sliding_windows") { x, call, _ in
            let axis = try call.axis(rank: x.rank)
            let (size, stride) = (try call.int("size"), try call.int("stride"))
            var windows = x
            windows.shape[axis] = (x.shape[axis] - size) / stride + 1
            windows.shape.insert(size, at: axis + 1)
            windows.strides[axis] = x.strides[axis] * stride
            windows.strides.insert(x.strides[axis], at: axis + 1)
            return windows
        },
        Kernel(name: "reverse_sequence") { call, lowerer, _ in
            let x = try lowerer.view(call.id("x"))
            let lengths = try lowerer.indices(call, "lengths")
            let (axis, batch) = (try call.axis("seq_axis", rank: x.rank), try call.axis("batch_axis", rank: x.rank))
            guard axis != batch else {
                throw Failure(.invalidArgument, "seq_axis and batch_axis are both \(axis); they must be two axes.")
            }
            let output = lowerer.allocate(x.shape, x.dtype)
            lowerer.define(call.operation.outputs[0], output)
            guard x.count > 0 else { return }
            lowerer.emit(
                call, kernel: "copy", reason: "each sequence in two parts", reads: [x, lengths], writes: [output]
            ) { frame in
                for (index, length) in frame.integers(lengths).enumerated() {
                    guard (0...x.shape[axis]).contains(length) else {
                        throw Failure(
                            .outOfRange, "The lengths hold \(length); a sequence has \(x.shape[axis]) elements."
                        ).at(operation: call.place)
                    }
                    let (from, to) = (
                        x.part(axis: batch, start: index, size: 1), output.part(axis: batch, start: index, size: 1)
                    )
                    let whole = from.shape.map { _ in 0 }
                    var (start, step, sizes) = (whole, whole.map { _ in 1 }, from.shape)
                    (start[axis], step[axis], sizes[axis]) = (length - 1, -1, length)
                    frame.copy(
                        from.part(start: start, step: step, sizes: sizes),
                        to: to.part(axis: axis, start: 0, size: length))
                    let rest = x.shape[axis] - length
                    frame.copy(
                        from.part(axis: axis, start: length, size: rest),
                        to: to.part(axis: axis, start: length, size: rest))
                }
            }
        },
        Kernel(name: "pixel_shuffle") { call, lowerer, _ in
            let factor = try call.int("upscale_factor")
            try rearrange(call, lowerer) { x in
                let (n, c, h, w) = (x.shape[0], x.shape[1] / (factor * factor), x.shape[2], x.shape[3])
                return x.reshaped([n, c, factor, factor, h, w])?.permuted([0, 1, 4, 2, 5, 3])
            }
        },
        Kernel(name: "depth_to_space") { call, lowerer, _ in
            let block = try call.int("block_size")
            try rearrange(call, lowerer) { x in
                let (n, c, h, w) = (x.shape[0], x.shape[1] / (block * block), x.shape[2], x.shape[3])
                return x.reshaped([n, block, block, c, h, w])?.permuted([0, 3, 4, 1, 5, 2])
            }
        },
        Kernel(name: "space_to_depth") { call, lowerer, _ in
            let block = try call.int("block_size")
            try rearrange(call, lowerer) { x in
                let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2] / block, x.shape[3] / block)
                return x.reshaped([n, c, h, block, w, block])?.permuted([0, 3, 5, 1, 2, 4])
            }
        },
        Kernel(name: "pixel_unshuffle") { call, lowerer, _ in
            let factor = try call.int("downscale_factor")
            try rearrange(call, lowerer) { x in
                let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2] / factor, x.shape[3] / factor)
                return x.reshaped([n, c, h, factor, w, factor])?.permuted([0, 1, 3, 5, 2, 4])
            }
        },
    ]

    /// The value around x in its type.
    private static func padding(_ call: Call, _ dtype: DataType) throws -> Tensor {
        guard let value = call.constant("constant_val") else { return Tensor([0], dtype: dtype, shape: []) }
        if value.dtype == dtype { return value }
        let number = value.double(at: 0)
        guard !dtype.isInteger || number.magnitude < 0x1p63 && (number >= 0 || dtype != .uint64) else {
            throw Failure(.outOfRange, "The constant_val is \(number), which \(dtype.name) cannot hold.")
        }
        return Tensor([number], dtype: dtype, shape: [])
    }

    /// An op whose result is another view of x.
    private static func view(_ name: String, _ body: @escaping @Sendable (View, Call, Lowerer) throws -> View) -> Kernel
    {
        Kernel(name: name) { call, lowerer, _ in
            lowerer.define(call.operation.outputs[0], try body(lowerer.view(call.id("x")), call, lowerer))
        }
    }

    /// A part of x whose place is known only when the step runs, copied out.
    private static func moving(
        _ call: Call, _ lowerer: Lowerer, _ x: View, by views: [View],
        bounds: @escaping @Sendable (Frame) throws -> SliceBounds
    ) throws {
        let output = try lowerer.allocate(for: call.operation.outputs[0])
        lowerer.define(call.operation.outputs[0], output)
        guard output.count > 0 else { return }
        let place = call.place
        lowerer.emit(
            call, kernel: "copy", reason: "where the slice begins is not known before", reads: [x] + views,
            writes: [output]
        ) {
            frame in
            do {
                let bounds = try bounds(frame)
                let part = x.part(start: bounds.begin, step: bounds.stride, sizes: bounds.length)
                frame.copy(
                    part, to: output.inserting(bounds.squeezed.indices.filter { bounds.squeezed[$0] }, rank: x.rank))
            } catch let failure as Failure {
                throw failure.at(operation: place)
            }
        }
    }

    /// Elements in another order that a view can say, copied into the shape of the result.
    private static func rearrange(_ call: Call, _ lowerer: Lowerer, _ body: (View) -> View?) throws {
        let x = try lowerer.view(call.id("x"))
        guard let view = body(x) ?? body(lowerer.dense(x, for: call)) else {
            throw Failure(.invalidArgument, "The shape \(x.shape) does not divide into blocks.")
        }
        let id = call.operation.outputs[0]
        let shape = try lowerer.function.tensorType(id).shape
        lowerer.define(id, view.reshaped(shape) ?? lowerer.dense(view, for: call).reshaped(shape)!)
    }

    /// Parts written side by side along an axis.
    private static func assemble(
        _ views: [View], _ call: Call, _ lowerer: Lowerer, interleave: Bool, axis: Int, _ type: TensorType
    ) throws {
        let id = call.operation.outputs[0]
        // As the largest part lies, if it is dense.
        let model = views.max { $0.count < $1.count }
        let order =
            lowerer.wantedOrder(of: id) ?? model.flatMap { $0.isDense(order: $0.memoryOrder) ? $0.memoryOrder : nil }
        let output = lowerer.allocate(type.shape, type.dtype, order: order)
        lowerer.define(id, output)
        let parts = views.filter { $0.count > 0 }
        var start = 0
        let moves = parts.map { view -> (View, View) in
            defer { start += interleave ? 1 : view.shape[axis] }
            guard interleave else { return (view, output.part(axis: axis, start: start, size: view.shape[axis])) }
            var target = output.part(axis: axis, start: start, size: view.shape[axis])
            target.strides[axis] *= parts.count
            return (view, target)
        }
        let (size, rank) = (Int32(type.dtype.size), Int32(type.rank))
        let copies = moves.map { source, target in
            (
                source, target, source.shape.map(Int64.init), source.strides.map(Int64.init),
                target.strides.map(Int64.init)
            )
        }
        lowerer.emit(call, kernel: "copy", reason: "\(parts.count) parts side by side", reads: parts, writes: [output])
        { frame in
            for (source, target, shape, from, to) in copies {
                mk_copy(size, rank, shape, frame[target], to, frame[source], from)
            }
        }
    }
}

/// The bounds of a slice, where they are known, or how to read them when a step runs.
struct SliceReader: Sendable {
    let known: SliceBounds?
    /// The values that the bounds are read from.
    let views: [View]
    let read: @Sendable (Frame) throws -> SliceBounds

    init(_ call: Call, _ lowerer: Lowerer) throws {
        if call.constant("begin") != nil, call.constant("end") != nil {
            let bounds = try SliceBounds(call)
            (known, views, read) = (bounds, [], { _ in bounds })
            return
        }
        let (begin, end) = (try lowerer.indices(call, "begin"), try lowerer.indices(call, "end"))
        let (shape, masks) = (try call.type("x").shape, try SliceMasks(call))
        (known, views) = (nil, [begin, end])
        read = { try SliceBounds(shape, begin: $0.integers(begin), end: $0.integers(end), masks: masks) }
    }
}

extension Frame {
    /// The elements of a dense list of int32 or int64.
    func integers(_ view: View) -> [Int] {
        (0..<view.count).map {
            view.dtype == .int64
                ? Int(self[view].load(fromByteOffset: $0 * 8, as: Int64.self))
                : Int(self[view].load(fromByteOffset: $0 * 4, as: Int32.self))
        }
    }

    /// Elements moved now, within a step.
    func copy(_ source: View, to target: View) {
        guard source.count > 0 else { return }
        mk_copy(
            Int32(source.dtype.size), Int32(source.rank), source.shape.map(Int64.init), self[target],
            target.strides.map(Int64.init),
            self[source], source.strides.map(Int64.init))
    }
}
