import CKernels
import MIL

#if ONEDNN
    import COneDNN
#endif

// Convolutions and poolings, with the channels last in memory.

extension CPUKernels {
    static let convolution: [Kernel] = [
        Kernel(name: "conv") { call, lowerer, _ in try Convolution(call: call, lowerer: lowerer).lower() },
        Kernel(name: "conv_transpose") { call, lowerer, _ in
            try Convolution(call: call, lowerer: lowerer).lowerTransposed()
        },
        pooling("max_pool", MK_POOL_MAX),
        pooling("avg_pool", MK_POOL_AVERAGE),
        pooling("l2_pool", MK_POOL_L2),
    ]

    private static func pooling(_ name: String, _ mode: mk_pool_mode) -> Kernel {
        Kernel(name: name) { call, lowerer, _ in
            let window = try Window(pooling: call)
            let order = try View.channelsLast(rank: call.type("x").rank)
            let x = try lowerer.dense(call.id("x"), order: order, for: call)
            let output = try lowerer.allocate(for: call.operation.outputs[0], order: order)
            lowerer.define(call.operation.outputs[0], output)
            guard output.count > 0 else { return }
            var pool = mk_pool()
            pool.mode = mode
            pool.batch = Int64(x.shape[0])
            pool.channels = Int64(x.shape[1])
            pool.exclude_padding = try name == "avg_pool" && call.bool("exclude_padding_from_average") ? 1 : 0
            pool.in = threeAxes(Array(x.shape.dropFirst(2)), 1)
            pool.out = threeAxes(window.output, 1)
            pool.kernel = threeAxes(window.kernel, 1)
            pool.stride = threeAxes(window.strides, 1)
            pool.pad_begin = threeAxes(window.padsBefore, 0)
            pool.pad_end = threeAxes(window.padsAfter, 0)
            let prepared = pool
            lowerer.emit(call, kernel: "pool", reason: "channels last", reads: [x], writes: [output]) { frame in
                withUnsafePointer(to: prepared) { mk_pool_run($0, frame.floats(x), frame.floats(output)) }
            }
        }
    }
}

/// One to three spatial numbers as depth, height, width, filled in front.
func threeAxes(_ values: [Int], _ fill: Int) -> (Int64, Int64, Int64) {
    let all = Array(repeating: fill, count: 3 - values.count) + values
    return (Int64(all[0]), Int64(all[1]), Int64(all[2]))
}

/// One convolution on its way to a step.
struct Convolution {
    let call: Call
    let lowerer: Lowerer

    func lower() throws {
        let window = try Window(convolution: call)
        let weight = try call.known("weight")
        let bias = try call.has("bias") ? lowerer.widened(call.known("bias")) : nil
        let groups = try call.int("groups")
        let id = call.operation.outputs[0]
        let rank = weight.shape.count
        let order = View.channelsLast(rank: rank)
        let source = try lowerer.view(call.id("x"))
        if rank == 3, groups == 1, window.dilations == [1] {
            return try lowerAsProduct(source, weight, bias, window)
        }
        let epilogue = try Epilogue(after: id, of: call, order: order, in: lowerer)
        let output = try lowerer.allocate(for: epilogue.output, order: order)
        lowerer.define(epilogue.output, output)
        guard output.count > 0 else { return }
        let x = lowerer.dense(source, order: order, for: call)
        #if ONEDNN
            if lowerer.usesOneDNN, try lowerByOneDNN(x, weight, bias, window, groups: groups, epilogue, output) {
                return
            }
        #endif
        try lowerPortably(x, weight, bias, window, groups: groups, transposed: false, epilogue, output)
    }

    /// The engine's own kernel, for both directions.
    private func lowerPortably(
        _ x: View, _ weight: Tensor, _ bias: Tensor?, _ window: Window, groups: Int, transposed: Bool,
        _ epilogue: Epilogue,
        _ output: View
    ) throws {
        var problem = mk_convolution_problem()
        problem.batch = Int64(x.shape[0])
        problem.in_channels = Int64(x.shape[1])
        problem.out_channels = Int64(output.shape[1])
        problem.groups = Int64(groups)
        problem.input = threeAxes(Array(x.shape.dropFirst(2)), 1)
        problem.kernel = threeAxes(window.kernel, 1)
        problem.stride = threeAxes(window.strides, 1)
        problem.dilation = threeAxes(window.dilations, 1)
        problem.pad_begin = threeAxes(window.padsBefore, 0)
        problem.pad_end = threeAxes(window.padsAfter, 0)
        problem.transposed = transposed ? 1 : 0
        let prepared = problem
        let packed = try Storage(allocating: withUnsafePointer(to: prepared) { mk_convolution_pack_size($0) })
        lowerer.packing(weight) {
            let plain = lowerer.widened(weight)
            withUnsafePointer(to: prepared) { mk_convolution_pack($0, plain.floats, packed.pointer) }
            withExtendedLifetime(plain) {}
        }
        lowerer.scratch(withUnsafePointer(to: prepared) { mk_convolution_workspace($0) })
        lowerer.countPacked(packed.byteCount)
        let order = View.channelsLast(rank: x.rank)
        let pixels = epilogue.flattened {
            $0.permuted(order).reshaped([output.count / output.shape[1], output.shape[1]])!
        }
        lowerer.emit(
            call, kernel: transposed ? "transposed convolution" : "convolution",
            reason: "portable kernel, weights packed once",
            covering: epilogue.ops, output: epilogue.output, reads: [x] + (epilogue.residual.map { [$0] } ?? []),
            writes: [output]
        ) { frame in
            pixels.withKernelEpilogue(bias: bias, frame) { epilogue in
                withUnsafePointer(to: prepared) {
                    mk_convolution($0, frame.floats(x), packed.pointer, frame.floats(output), epilogue, frame.scratch)
                }
            }
        }
    }

    /// A convolution over one axis with the channels last is a matrix product: its windows are rows that overlap.
    private func lowerAsProduct(_ source: View, _ weight: Tensor, _ bias: Tensor?, _ window: Window) throws {
        let id = call.operation.outputs[0]
        let order = View.channelsLast(rank: 3)
        let (batch, channels, length) = (source.shape[0], source.shape[1], source.shape[2])
        let (outputs, kernel, stride) = (weight.shape[0], weight.shape[2], window.strides[0])
        let padded = length + window.padsBefore[0] + window.padsAfter[0]
        var x = lowerer.dense(source, order: order, for: call)
        if padded != length {
            let target = lowerer.allocate([batch, channels, padded], .float32, order: order)
            let (before, after) = (window.padsBefore[0], window.padsAfter[0])
            let view = x
            lowerer.emit(call, kernel: "pad", reason: "zeros at both ends", reads: [x], writes: [target]) { frame in
                mk_pad(
                    MK_PAD_CONSTANT, 4, Int64(batch), Int64(length), Int64(channels), Int64(before), Int64(after),
                    [Float(0)],
                    frame[view], frame[target])
            }
            x = target
        }
        let epilogue = try Epilogue(after: id, of: call, order: order, in: lowerer)
        let output = try lowerer.allocate(for: epilogue.output, order: order)
        lowerer.define(epilogue.output, output)
        guard output.count > 0 else { return }
        // Weights [outputs, channels, kernel] as a matrix [kernel · channels, outputs].
        let (m, n, k) = (window.output[0], outputs, kernel * channels)
        let matrix = try Storage(allocating: k * n * 4)
        lowerer.packing(weight) {
            let plain = lowerer.widened(weight)
            mk_copy(
                4, 3, [Int64(kernel), Int64(channels), Int64(n)], matrix.pointer, [Int64(channels * n), Int64(n), 1],
                plain.pointer, [1, Int64(kernel), Int64(channels * kernel)])
            withExtendedLifetime(plain) {}
        }
        let packed = try Storage(allocating: mk_gemm_pack_size(Int64(k), Int64(n)))
        mk_gemm_pack(Int64(k), Int64(n), matrix.pointer, MK_FP32, Int64(n), 1, packed.pointer)
        withExtendedLifetime(matrix) {}
        lowerer.countPacked(packed.byteCount)
        lowerer.scratch(mk_gemm_packed_workspace(Int64(m), Int64(n), Int64(k)))
        let rows = epilogue.flattened { $0.permuted(order).reshaped([batch * m, n])! }
        let input = x
        lowerer.emit(
            call, kernel: "gemm", reason: "a convolution over one axis as a product over overlapping rows",
            covering: epilogue.ops,
            output: epilogue.output, reads: [x] + (epilogue.residual.map { [$0] } ?? []), writes: [output]
        ) { frame in
            for index in 0..<batch {
                rows.withKernelEpilogue(bias: bias, frame) { epilogue in
                    var epilogue = epilogue.pointee
                    if epilogue.residual != nil { epilogue.residual += index * m * n }
                    mk_gemm_packed(
                        Int64(m), Int64(n), Int64(k), frame.floats(input) + index * padded * channels,
                        Int64(stride * channels), 1,
                        packed.pointer, frame.floats(output) + index * m * n, Int64(n), 0, &epilogue, frame.scratch)
                }
            }
        }
    }

    func lowerTransposed() throws {
        let window = try Window(transposedConvolution: call)
        let weight = try call.known("weight")
        let bias = try call.has("bias") ? lowerer.widened(call.known("bias")) : nil
        let groups = try call.int("groups")
        let id = call.operation.outputs[0]
        let order = View.channelsLast(rank: weight.shape.count)
        let x = try lowerer.dense(call.id("x"), order: order, for: call)
        let output = try lowerer.allocate(for: id, order: order)
        lowerer.define(id, output)
        guard output.count > 0 else { return }
        try lowerPortably(
            x, weight, bias, window, groups: groups, transposed: true, Epilogue(nothingAfter: id, of: call), output)
    }

    #if ONEDNN
        /// Returns false where the engine's own kernel does better.
        private func lowerByOneDNN(
            _ x: View, _ weight: Tensor, _ bias: Tensor?, _ window: Window, groups: Int, _ epilogue: Epilogue,
            _ output: View
        ) throws -> Bool {
            let order = View.channelsLast(rank: x.rank)
            guard let source = try Operand(x, order: order) else { return false }
            let destination = try Operand(result: output, order: order)
            let residual = try epilogue.residual.map { try Operand(result: $0, order: order) }
            let attributes = try attributes(for: epilogue, residual: residual)
            defer { dnnl_primitive_attr_destroy(attributes) }
            // Groups are a dimension of their own in oneDNN's weights.
            let shape = groups == 1 ? weight.shape : [groups, weight.shape[0] / groups] + weight.shape.dropFirst()
            let biasLayout = try bias.map { try Descriptor($0.shape, strides: [1]) }
            let chosen = try Descriptor(any: shape).use { weights in
                try Primitive.unlessReference("prepare a convolution") {
                    onednn_convolution(
                        &$0, DNNLEngine.shared?.handle, source.handle, weights, biasLayout?.handle, destination.handle,
                        window.strides.map(Int64.init), window.dilations.map { Int64($0 - 1) },
                        window.padsBefore.map(Int64.init), window.padsAfter.map(Int64.init), attributes)
                }
            }
            guard let primitive = chosen else { return false }
            let weights = try primitive.layout(dnnl_query_weights_md)
            let plain = try Descriptor(
                shape, strides: View.strides(of: shape), dtype: weight.dtype == .float16 ? dnnl_f16 : dnnl_f32)
            let storage = try lowerer.packing(weight) { try packed(weight.pointer, plain, to: weights) }
            lowerer.countPacked(storage.byteCount)
            var arguments: [PrimitiveCall.Argument] = [
                lowerer.argument(DNNL_ARG_SRC, source, for: call),
                .init(index: DNNL_ARG_WEIGHTS, layout: weights, source: .packed(storage)),
                lowerer.argument(DNNL_ARG_DST, destination, for: call),
            ]
            if let bias, let biasLayout {
                arguments.append(.init(index: DNNL_ARG_BIAS, layout: biasLayout, source: .tensor(bias)))
            }
            try lowerer.emit(
                call, primitive, arguments, epilogue, residual: residual,
                reason: "convolution with the channels last, weights packed once")
            return true
        }
    #endif
}
