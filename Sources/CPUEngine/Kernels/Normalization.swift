import CKernels
import MIL

// Softmax and the norms; batch_norm is elementwise.

extension CPUKernels {
    static let normalization: [Kernel] = [
        Kernel(name: "softmax") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let rank = try call.type("x").rank
            let axis = rank == 0 ? 0 : try call.axis(rank: rank)
            let x = try lowerer.dense(call.id("x"), for: call)
            let output = lowerer.allocate(x.shape, x.dtype)
            lowerer.define(id, output)
            let (outer, size, inner) = split(x.shape, at: axis)
            lowerer.emit(
                call, kernel: "softmax", reason: "rows in row-major order", reads: [x], writes: [output],
                inPlace: [(output, x)]
            ) { mk_softmax(outer, size, inner, $0.floats(x), $0.floats(output)) }
        },
        Kernel(name: "layer_norm") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let type = try call.type("x")
            let axes = try call.axes(rank: type.rank) ?? Array(0..<type.rank)
            // The axes go last; where they are, nothing moves.
            let order = type.shape.indices.filter { !axes.contains($0) } + axes.sorted()
            let x = try lowerer.dense(lowerer.view(call.id("x")).permuted(order), for: call)
            let (gamma, beta) = (try vector("gamma", call, lowerer), try vector("beta", call, lowerer))
            let epsilon = try call.float("epsilon")
            let output = lowerer.allocate(x.shape, x.dtype)
            lowerer.define(id, output.permuted(order.indices.map { order.firstIndex(of: $0)! }))
            let size = axes.map { type.shape[$0] }.reduce(1, *)
            guard type.count > 0 else { return }
            let rows = Int64(type.count / size)
            lowerer.emit(
                call, kernel: "layer_norm", reason: "rows in row-major order",
                reads: [x] + [gamma, beta].compactMap { $0 },
                writes: [output], inPlace: [(output, x)]
            ) { frame in
                mk_layer_norm(
                    rows, Int64(size), frame.floats(x), nil, gamma.map { UnsafePointer(frame.floats($0)) },
                    beta.map { UnsafePointer(frame.floats($0)) }, epsilon, frame.floats(output), nil)
            }
        },
        Kernel(name: "instance_norm") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let order = try View.channelsLast(rank: call.type("x").rank)
            let x = try lowerer.dense(call.id("x"), order: order, for: call)
            let (gamma, beta) = (try vector("gamma", call, lowerer), try vector("beta", call, lowerer))
            let epsilon = try call.float("epsilon")
            let output = lowerer.allocate(x.shape, x.dtype, order: order)
            lowerer.define(id, output)
            let (batch, channels) = (Int64(x.shape[0]), Int64(x.shape[1]))
            let spatial = Int64(x.shape.dropFirst(2).reduce(1, *))
            lowerer.emit(
                call, kernel: "instance_norm", reason: "channels last", reads: [x] + [gamma, beta].compactMap { $0 },
                writes: [output]
            ) { frame in
                mk_instance_norm(
                    batch, spatial, channels, frame.floats(x), gamma.map { UnsafePointer(frame.floats($0)) },
                    beta.map { UnsafePointer(frame.floats($0)) }, epsilon, frame.floats(output))
            }
        },
        Kernel(name: "l2_norm") { call, lowerer, _ in
            // Over the last three axes, as Core ML defines it.
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let epsilon = try call.float("epsilon")
            let output = lowerer.allocate(x.shape, x.dtype)
            lowerer.define(id, output)
            let size = x.shape.suffix(3).reduce(1, *)
            guard size > 0 else { return }
            let rows = Int64(x.count / size)
            lowerer.emit(call, kernel: "l2_norm", reason: "rows in row-major order", reads: [x], writes: [output]) {
                frame in
                mk_l2_norm(rows, Int64(size), frame.floats(x), epsilon, frame.floats(output))
            }
        },
        Kernel(name: "local_response_norm") { call, lowerer, _ in
            let id = call.operation.outputs[0]
            // Three axes are an image without a batch.
            let source = try lowerer.view(call.id("x"))
            let image = source.rank == 3 ? source.inserting([0], rank: 4) : source
            let order = View.channelsLast(rank: image.rank)
            let x = lowerer.dense(image, order: order, for: call)
            let (size, alpha, beta, k) = (
                try call.int("size"), try call.float("alpha"), try call.float("beta"), try call.float("k")
            )
            let output = lowerer.allocate(x.shape, x.dtype, order: order)
            lowerer.define(id, output.reshaped(source.shape)!)
            let channels = x.shape[1]
            guard x.count > 0 else { return }
            let rows = Int64(x.count / channels)
            lowerer.emit(call, kernel: "local_response_norm", reason: "channels last", reads: [x], writes: [output]) {
                frame in
                mk_local_response_norm(
                    rows, Int64(channels), frame.floats(x), Int64(size), alpha, beta, k, frame.floats(output))
            }
        },
    ]

    /// A scale or an offset, constant or computed; nil where it is left out.
    private static func vector(_ name: String, _ call: Call, _ lowerer: Lowerer) throws -> View? {
        try call.has(name) ? lowerer.dense(call.id(name), for: call) : nil
    }
}

/// A shape seen as what lies outside an axis, the axis, and what lies inside it.
func split(_ shape: [Int], at axis: Int) -> (outer: Int64, axis: Int64, inner: Int64) {
    guard !shape.isEmpty else { return (1, 1, 1) }
    return (Int64(shape[..<axis].reduce(1, *)), Int64(shape[axis]), Int64(shape[(axis + 1)...].reduce(1, *)))
}

extension Tensor {
    var floats: UnsafePointer<Float> { UnsafePointer(pointer.assumingMemoryBound(to: Float.self)) }
}
