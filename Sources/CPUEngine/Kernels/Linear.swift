import CKernels
import MIL

#if ONEDNN
    import COneDNN
#endif

// Matrix products: oneDNN where it is present, else the portable product; few rows stream the weights as they are mapped.

extension CPUKernels {
    static let linear: [Kernel] = [
        Kernel(name: "linear", dtypes: lanes) { call, lowerer, _ in
            let (x, weight) = (try lowerer.view(call.id("x")), try call.id("weight"))
            let product = MatrixProduct(call: call, lowerer: lowerer, bias: call.constant("bias"))
            let isKnown = lowerer.function[weight].constant != nil && call.has("bias") == (product.bias != nil)
            if isKnown, !x.dtype.isWhole { return try product.lower(x: x, weight: weight, weightTransposed: true) }
            try product.lower(x: x, y: lowerer.view(weight).permuted([1, 0]))
            if call.has("bias") { try product.add(lowerer.view(call.id("bias"))) }
        },
        Kernel(name: "matmul") { call, lowerer, index in
            if let group = lowerer.attention.groups[index] { return try lower(group, call, lowerer) }
            let (x, y) = (try lowerer.view(call.id("x")), try call.id("y"))
            let (transposeX, transposeY) = (try call.bool("transpose_x"), try call.bool("transpose_y"))
            let product = MatrixProduct(call: call, lowerer: lowerer, bias: nil)
            let left = transposeX ? x.permuted(swappedLast(x.rank)) : x
            if lowerer.function[y].constant != nil, x.dtype == .float32, try lowerer.function.tensorType(y).rank == 2,
                x.rank >= 2
            {
                return try product.lower(x: left, weight: y, weightTransposed: transposeY)
            }
            let right = try lowerer.view(y)
            try product.lower(x: left, y: transposeY ? right.permuted(swappedLast(right.rank)) : right)
        },
    ]

    /// Attention spelled out: the last matmul computes it all.
    private static func lower(_ group: AttentionGroups.Group, _ call: Call, _ lowerer: Lowerer) throws {
        func view(_ id: ValueID, transposed: Bool) throws -> View {
            let view = try lowerer.view(id)
            return transposed ? view.permuted(swappedLast(view.rank)) : view
        }
        try attention(
            call, lowerer, output: call.operation.outputs[0],
            query: view(group.query, transposed: group.queryIsTransposed),
            key: view(group.key, transposed: group.keyIsTransposed),
            value: view(call.id("y"), transposed: call.bool("transpose_y")), mask: group.mask.map(lowerer.view),
            scale: group.scale,
            covering: group.ops.reversed())
    }
}

func swappedLast(_ rank: Int) -> [Int] {
    var order = Array(0..<rank)
    order.swapAt(rank - 1, rank - 2)
    return order
}

/// One matrix product on its way to a step.
struct MatrixProduct {
    let call: Call
    let lowerer: Lowerer
    let bias: Tensor?

    /// Below this many rows the product is bound by reading the weights: no packing pays off.
    private static let fewRows = 4

    /// x […, K] times constant weights [N, K] (transposed) or [K, N].
    func lower(x: View, weight id: ValueID, weightTransposed: Bool) throws {
        let function = lowerer.function
        guard let weight = function[id].constant else { throw Failure(.bug, "The weight is not known before the run.") }
        let (n, k) = weightTransposed ? (weight.shape[0], weight.shape[1]) : (weight.shape[1], weight.shape[0])
        let id = call.operation.outputs[0]
        let shape = try function.tensorType(id).shape
        let rows = shape.dropLast().reduce(1, *)
        // Rows may lie at any distance, their elements must be neighbours.
        let matrix = x.reshaped([rows, k]) ?? lowerer.dense(x, for: call).reshaped([rows, k])!
        let input = k > 1 && matrix.strides[1] != 1 ? lowerer.dense(matrix, for: call) : matrix
        let epilogue = try Epilogue(after: id, of: call, order: Array(shape.indices), in: lowerer)
        let output = try lowerer.allocate(for: epilogue.output, order: Array(shape.indices))
        lowerer.define(epilogue.output, output)
        guard output.count > 0 else { return }
        let target = output.reshaped([rows, n])!
        let flat = epilogue.flattened { $0.reshaped([rows, n])! }
        let reads = [input] + (flat.residual.map { [$0] } ?? [])

        if rows <= MatrixProduct.fewRows {
            return streamed(input, weight, weightTransposed, n: n, k: k, flat, reads, target)
        }
        #if ONEDNN
            if lowerer.usesOneDNN,
                try packedByOneDNN(input, weight, weightTransposed, n: n, k: k, flat, target)
            {
                return
            }
        #endif
        let packed = try Storage(allocating: mk_gemm_pack_size(Int64(k), Int64(n)))
        lowerer.packing(weight) {
            mk_gemm_pack(
                Int64(k), Int64(n), weight.pointer, weight.dtype == .float16 ? MK_FP16 : MK_FP32,
                weightTransposed ? 1 : Int64(n), weightTransposed ? Int64(k) : 1, packed.pointer)
        }
        lowerer.countPacked(packed.byteCount)
        lowerer.scratch(mk_gemm_packed_workspace(Int64(rows), Int64(n), Int64(k)))
        let biasTensor = bias.map(lowerer.widened)
        let (rowCount, columns, depth, step) = (Int64(rows), Int64(n), Int64(k), Int64(input.strides[0]))
        lowerer.emit(
            call, kernel: "gemm", reason: "portable matrix product, weights packed once", covering: flat.ops,
            output: flat.output, reads: reads, writes: [target]
        ) { frame in
            flat.withKernelEpilogue(bias: biasTensor, frame) {
                mk_gemm_packed(
                    rowCount, columns, depth, frame.floats(input), step, 1, packed.pointer, frame.floats(target),
                    columns, 0, $0,
                    frame.scratch)
            }
        }
    }

    /// Few rows: one pass over the weights where they lie.
    private func streamed(
        _ input: View, _ weight: Tensor, _ transposed: Bool, n: Int, k: Int, _ epilogue: Epilogue, _ reads: [View],
        _ target: View
    ) {
        lowerer.fetch(weight)
        let biasTensor = bias.map(lowerer.widened)
        let dtype = weight.dtype == .float16 ? MK_FP16 : MK_FP32
        let (m, n, k, step) = (Int64(target.shape[0]), Int64(n), Int64(k), Int64(input.strides[0]))
        lowerer.emit(
            call, kernel: "gemv", reason: "\(m) row\(m == 1 ? "" : "s"): weights streamed from where they are mapped",
            covering: epilogue.ops, output: epilogue.output, reads: reads, writes: [target]
        ) { frame in
            epilogue.withKernelEpilogue(bias: biasTensor, frame) { epilogue in
                let (x, y) = (frame.floats(input), frame.floats(target))
                if transposed {
                    mk_gemv(m, n, k, x, step, weight.pointer, dtype, k, y, n, epilogue)
                } else {
                    mk_gemv_transposed(m, n, k, x, step, weight.pointer, dtype, n, y, n, epilogue)
                }
            }
        }
    }

    /// Adds a vector to the finished product, as a step of its own.
    func add(_ bias: View) throws {
        let id = call.operation.outputs[0]
        let product = try lowerer.view(id)
        let opcode = product.dtype.isWhole ? MK_ADD_I : MK_ADD_F
        lowerer.define(
            id, try lowerer.compute(opcode, of: [product, bias], as: product.dtype, for: call, why: "a computed bias"))
    }

    #if ONEDNN
        /// Returns false where the portable product does better.
        private func packedByOneDNN(
            _ input: View, _ weight: Tensor, _ transposed: Bool, n: Int, k: Int, _ epilogue: Epilogue, _ target: View
        ) throws -> Bool {
            guard let source = try Operand(matrices: input) else { return false }
            let destination = try Operand(result: target)
            let residual = try epilogue.residual.map { try Operand(result: $0) }
            let attributes = try attributes(for: epilogue, residual: residual)
            defer { dnnl_primitive_attr_destroy(attributes) }
            let biasTensor = bias.map(lowerer.widened)
            let biasLayout = try biasTensor.map { _ in try Descriptor([1, n], strides: [n, 1]) }
            let chosen = try Descriptor(any: [k, n]).use { weights in
                try Primitive.unlessReference("prepare a matrix product") {
                    onednn_matmul(
                        &$0, DNNLEngine.shared?.handle, source.handle, weights, biasLayout?.handle, destination.handle,
                        attributes)
                }
            }
            guard let primitive = chosen else { return false }
            let weights = try primitive.layout(dnnl_query_weights_md)
            let plain = try Descriptor(
                [k, n], strides: transposed ? [1, k] : [n, 1], dtype: weight.dtype == .float16 ? dnnl_f16 : dnnl_f32)
            let storage = try lowerer.packing(weight) { try packed(weight.pointer, plain, to: weights) }
            lowerer.countPacked(storage.byteCount)
            var arguments: [PrimitiveCall.Argument] = [
                lowerer.argument(DNNL_ARG_SRC, source, for: call),
                .init(index: DNNL_ARG_WEIGHTS, layout: weights, source: .packed(storage)),
                lowerer.argument(DNNL_ARG_DST, destination, for: call),
            ]
            if let biasTensor, let biasLayout {
                arguments.append(.init(index: DNNL_ARG_BIAS, layout: biasLayout, source: .tensor(biasTensor)))
            }
            try lowerer.emit(
                call, primitive, arguments, epilogue, residual: residual, reason: "matrix product, weights packed once")
            return true
        }
    #endif

    /// x […, M, K] times y […, K, N], batches broadcast; a vector on the left is a row, one on the right a column.
    func lower(x: View, y: View) throws {
        let id = call.operation.outputs[0]
        let type = try lowerer.function.tensorType(id)
        let (x, y) = (try typed(x, "x", as: type.dtype), try typed(y, "y", as: type.dtype))
        var (left, right) = (x, y)
        if left.rank == 1 { left = left.inserting([0], rank: 2) }
        if right.rank == 1 { right = right.inserting([1], rank: 2) }
        let rank = max(left.rank, right.rank, 2)
        left = left.inserting(Array(0..<(rank - left.rank)), rank: rank)
        right = right.inserting(Array(0..<(rank - right.rank)), rank: rank)
        let isTyped = type.dtype != .float32
        let order = x.rank == type.rank ? lowerer.wantedOrder(of: id, fixed: 1) : nil
        let output = lowerer.allocate(type.shape, x.dtype, order: order)
        lowerer.define(id, output)
        guard output.count > 0 else { return }
        let target = output.inserting(
            (x.rank == 1 ? [rank - 2] : []) + (y.rank == 1 ? [rank - 1] : []), rank: rank)
        guard left.count > 0 else {
            return lowerer.emit(call, kernel: "fill", reason: "a sum of nothing", reads: [], writes: [target]) {
                frame in
                frame[target].initializeMemory(as: UInt8.self, repeating: 0, count: target.count * type.dtype.size)
            }
        }
        let (m, n, k) = (target.shape[rank - 2], target.shape[rank - 1], left.shape[rank - 1])
        let hasRows = !isTyped && target.count == m * n && left.strides[rank - 1] == 1
        let isSmall =
            hasRows && right.strides[rank - 1] == 1 && mk_gemm_is_small(Int64(m), Int64(n), Int64(k)) != 0
        #if ONEDNN
            if lowerer.usesOneDNN, rank <= 6, !isTyped, !isSmall, !(hasRows && mk_gemm_is_quick() != 0),
                let source = try Operand(matrices: left), let weights = try Operand(matrices: right)
            {
                let destination = try Operand(result: target)
                let attributes = try attributes(for: Epilogue(nothingAfter: id, of: call))
                defer { dnnl_primitive_attr_destroy(attributes) }
                let primitive = try Primitive.unlessReference("prepare a matrix product") {
                    onednn_matmul(
                        &$0, DNNLEngine.shared?.handle, source.handle, weights.handle, nil, destination.handle,
                        attributes)
                }
                if let primitive {
                    return try lowerer.emit(
                        call, primitive,
                        [
                            lowerer.argument(DNNL_ARG_SRC, source, for: call),
                            lowerer.argument(DNNL_ARG_WEIGHTS, weights, for: call),
                            lowerer.argument(DNNL_ARG_DST, destination, for: call),
                        ], Epilogue(nothingAfter: id, of: call), reason: "matrix product")
                }
            }
        #endif
        lowerer.scratch(
            isTyped
                ? mk_gemm_typed_workspace(Int64(m), Int64(n), Int64(k))
                : mk_gemm_workspace(Int64(m), Int64(n), Int64(k)))
        let batch = Array(target.shape.dropLast(2))
        let (a, b) = (left.broadcast(to: batch + [m, k]), right.broadcast(to: batch + [k, n]))
        let offsets = (0..<batch.reduce(1, *)).map { index -> (Int, Int, Int) in
            var (rest, offset) = (index, (0, 0, 0))
            for dimension in batch.indices.reversed() {
                let position = rest % batch[dimension]
                rest /= batch[dimension]
                offset.0 += position * a.strides[dimension]
                offset.1 += position * b.strides[dimension]
                offset.2 += position * target.strides[dimension]
            }
            return offset
        }
        let row = Int64(target.strides[rank - 2])
        guard !isTyped else {
            let (element, size) = (type.dtype.element, type.dtype.size)
            return lowerer.emit(
                call, kernel: "typed gemm", reason: "matrix product of \(type.dtype.name)", reads: [left, right],
                writes: [target]
            ) { frame in
                for (x, y, z) in offsets {
                    mk_gemm_typed(
                        element, Int64(m), Int64(n), Int64(k), frame[a] + x * size, Int64(a.strides[rank - 2]),
                        Int64(a.strides[rank - 1]), frame[b] + y * size, Int64(b.strides[rank - 2]),
                        Int64(b.strides[rank - 1]), frame[target] + z * size, row, frame.scratch)
                }
            }
        }
        let (kernel, reason) =
            isSmall
            ? ("small gemm", "small matrices, multiplied where they lie")
            : ("gemm", hasRows ? "matrix product, x read where it lies" : "portable matrix product")
        lowerer.emit(call, kernel: kernel, reason: reason, reads: [left, right], writes: [target]) { frame in
            for (x, y, z) in offsets {
                mk_gemm(
                    Int64(m), Int64(n), Int64(k), frame.floats(a) + x, Int64(a.strides[rank - 2]),
                    Int64(a.strides[rank - 1]),
                    frame.floats(b) + y, Int64(b.strides[rank - 2]), Int64(b.strides[rank - 1]),
                    frame.floats(target) + z, row, 0, nil,
                    frame.scratch)
            }
        }
    }

    /// An operand in the type of the product: a constant may be stored in another.
    private func typed(_ view: View, _ name: String, as dtype: DataType) throws -> View {
        guard view.dtype != dtype else { return view }
        guard let constant = call.constant(name), dtype.isFloat || dtype.isComplex, !constant.dtype.isComplex else {
            throw Failure(
                .wrongType,
                "The parameter '\(name)' is \(view.dtype.name) and the product \(dtype.name); both must be of one type."
            )
        }
        let numbers = (0..<constant.count).map { constant.double(at: $0) }
        let wide = lowerer.constant(Tensor(numbers, dtype: dtype, shape: constant.shape))
        return View(buffer: wide.buffer, dtype: dtype, offset: view.offset, shape: view.shape, strides: view.strides)
    }
}

extension Epilogue {
    /// Nothing taken in.
    init(nothingAfter id: ValueID, of call: Call) {
        output = id
        ops = [call.op.name]
    }

    /// The same stages with the residual seen as a matrix.
    func flattened(_ matrix: (View) -> View) -> Epilogue {
        var copy = self
        copy.stages = stages.map { stage in
            if case .residual(let view) = stage { .residual(matrix(view)) } else { stage }
        }
        return copy
    }

    /// The stages as the portable kernels take them.
    func withKernelEpilogue(bias: Tensor?, _ frame: Frame, _ body: (UnsafePointer<mk_epilogue>) -> Void) {
        var epilogue = mk_epilogue()
        epilogue.bias = bias.map { UnsafePointer($0.pointer.assumingMemoryBound(to: Float.self)) }
        for (index, stage) in stages.enumerated() {
            switch stage {
            case .activation(let activation):
                switch activation {
                case .relu: epilogue.activation = MK_ACTIVATION_RELU
                case .clip(let low, let high):
                    epilogue.activation = MK_ACTIVATION_CLIP
                    epilogue.lo = low
                    epilogue.hi = high
                case .geluExact: epilogue.activation = MK_ACTIVATION_GELU_ERF
                case .geluTanh: epilogue.activation = MK_ACTIVATION_GELU_TANH
                case .sigmoid: epilogue.activation = MK_ACTIVATION_SIGMOID
                case .silu: epilogue.activation = MK_ACTIVATION_SILU
                case .tanh: epilogue.activation = MK_ACTIVATION_TANH
                }
            case .residual(let view):
                epilogue.residual = UnsafePointer(frame.floats(view))
                epilogue.residual_stride = Int64(view.strides[0])
                epilogue.residual_first = index == 0 ? 1 : 0
            }
        }
        body(&epilogue)
    }
}

#if ONEDNN
    extension Lowerer {
        /// Emits one call of a oneDNN primitive.
        func emit(
            _ call: Call, _ primitive: Primitive, _ arguments: [PrimitiveCall.Argument], _ epilogue: Epilogue,
            residual: Operand? = nil, reason: String
        ) throws {
            var arguments = arguments
            if let residual, let place = epilogue.residualStage {
                let index = DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE * Int32(place + 1) | DNNL_ARG_SRC_1
                arguments.append(argument(index, residual, for: call))
            }
            func views(where isWanted: (PrimitiveCall.Argument) -> Bool) -> [View] {
                arguments.filter(isWanted).compactMap { if case .view(let view) = $0.source { view } else { nil } }
            }
            let (reads, writes) = (views { $0.index != DNNL_ARG_DST }, views { $0.index == DNNL_ARG_DST })
            if primitive.scratchBytes > 0 {
                scratch(primitive.scratchBytes)
                arguments.append(
                    .init(
                        index: DNNL_ARG_SCRATCHPAD, layout: try primitive.layout(dnnl_query_scratchpad_md),
                        source: .scratch))
            }
            let index = add(PrimitiveCall(primitive: primitive, arguments: arguments))
            emit(
                call, kernel: "oneDNN " + primitive.implementation, reason: reason, covering: epilogue.ops,
                output: epilogue.output, reads: reads, writes: writes
            ) { frame in try frame.primitives.run(index, in: frame) }
        }
    }
#endif
