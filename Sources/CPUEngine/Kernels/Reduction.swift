import CKernels
import MIL

// Reductions: the reduced axes are brought together in the view, so that one kernel sees [outer, axis, inner].

extension CPUKernels {
    static let reduction: [Kernel] =
        [
            reduce("reduce_sum", MK_REDUCE_SUM), reduce("reduce_mean", MK_REDUCE_MEAN),
            reduce("reduce_max", MK_REDUCE_MAX),
            reduce("reduce_min", MK_REDUCE_MIN), reduce("reduce_prod", MK_REDUCE_PROD),
            reduce("reduce_sum_square", MK_REDUCE_SUM_SQUARE), reduce("reduce_l1_norm", MK_REDUCE_L1),
            reduce("reduce_l2_norm", MK_REDUCE_L2), reduce("reduce_log_sum", MK_REDUCE_LOG_SUM),
            reduce("reduce_log_sum_exp", MK_REDUCE_LOG_SUM_EXP),
            truth("reduce_any", all: false), truth("reduce_all", all: true), variance,
            position("reduce_argmax", least: false), position("reduce_argmin", least: true),
            Kernel(name: "cumsum") { call, lowerer, _ in
                let id = call.operation.outputs[0]
                let x = try lowerer.dense(call.id("x"), for: call)
                let (outer, size, inner) = split(x.shape, at: try call.axis(rank: x.rank))
                let (exclusive, reverse) = (try call.bool("exclusive"), try call.bool("reverse"))
                guard let whole = wholeLane(x) else { return try cumulate(call, lowerer, isProduct: false) }
                let output = lowerer.allocate(x.shape, x.dtype)
                lowerer.define(id, output)
                lowerer.emit(call, kernel: "cumsum", reason: "running sums", reads: [x], writes: [output]) { frame in
                    mk_cumsum(whole, exclusive ? 1 : 0, reverse ? 1 : 0, outer, size, inner, frame[x], frame[output])
                }
            },
            Kernel(name: "cumprod") { call, lowerer, _ in try cumulate(call, lowerer, isProduct: true) },
        ]

    /// Reductions that have a kernel for every element type.
    private static let typed: [mk_reduction] = [
        MK_REDUCE_SUM, MK_REDUCE_MEAN, MK_REDUCE_MAX, MK_REDUCE_MIN, MK_REDUCE_PROD,
    ]

    private static func reduce(_ name: String, _ mode: mk_reduction) -> Kernel {
        Kernel(name: name, dtypes: typed.contains(mode) ? .all : [.float16, .float32, .int32]) { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let type = try lowerer.function.tensorType(id)
            let given = try lowerer.view(call.id("x"))
            guard wholeLane(given) != nil else {
                return try gathering(call, lowerer, "in its own arithmetic", as: given.dtype) {
                    mk_reduce_typed(given.dtype.element, mode, $0, $1, $2, $3, $4)
                }
            }
            var (source, mode) = (given, mode)
            if source.dtype == .int32 { (source, mode) = try preparedWhole(source, mode, lowerer, call) }
            let axes = try call.axes(rank: source.rank) ?? Array(0..<source.rank)
            let (x, outer, size, inner) = try gathered(source, axes, lowerer, call)
            let whole = wholeLane(x) == 1
            let output = lowerer.allocate(type.shape, x.dtype)
            let kind = mode
            lowerer.emit(
                call, kernel: "reduce", reason: inner == 1 ? "along dense rows" : "across rows", reads: [x],
                writes: [output]
            ) { frame in
                if whole {
                    mk_reduce_int(
                        kind, outer, size, inner, frame[x].assumingMemoryBound(to: Int32.self),
                        frame[output].assumingMemoryBound(to: Int32.self))
                } else {
                    mk_reduce(kind, outer, size, inner, frame.floats(x), frame.floats(output))
                }
            }
            let isCut = !whole && type.dtype == .int32
            lowerer.define(
                id,
                isCut
                    ? try lowerer.compute(MK_I_FROM_F, of: [output], as: .int32, for: call, why: "back to integers")
                    : output)
        }
    }

    /// A reduction by a kernel that sees [outer, axis, inner].
    private static func gathering(
        _ call: Call, _ lowerer: Lowerer, _ reason: String, as dtype: DataType,
        _ run:
            @escaping @Sendable (
                _ outer: Int64, _ axis: Int64, _ inner: Int64, UnsafeMutableRawPointer, UnsafeMutableRawPointer
            ) -> Void
    ) throws {
        let id = call.operation.outputs[0]
        let source = try lowerer.view(call.id("x"))
        let axes = try call.axes(rank: source.rank) ?? Array(0..<source.rank)
        let (x, outer, size, inner) = try gathered(source, axes, lowerer, call)
        let output = lowerer.allocate(try lowerer.function.tensorType(id).shape, dtype)
        lowerer.define(id, output)
        guard output.count > 0 else { return }
        lowerer.emit(call, kernel: "reduce", reason: reason, reads: [x], writes: [output]) {
            run(outer, size, inner, $0[x], $0[output])
        }
    }

    private static func truth(_ name: String, all: Bool) -> Kernel {
        Kernel(name: name) { call, lowerer, _ in
            let element = try lowerer.view(call.id("x")).dtype.element
            try gathering(call, lowerer, "against 0", as: .bool) {
                mk_reduce_truth(element, all ? 1 : 0, $0, $1, $2, $3, $4.assumingMemoryBound(to: UInt8.self))
            }
        }
    }

    private static let variance = Kernel(name: "reduce_variance") { call, lowerer, _ in
        let dtype = try lowerer.view(call.id("x")).dtype
        let correction = try call.known("correction").double(at: 0)
        try gathering(call, lowerer, "from the mean, in fp64", as: dtype) {
            mk_reduce_variance(dtype.element, correction, $0, $1, $2, $3, $4)
        }
    }

    /// Running sums or products of any type.
    private static func cumulate(_ call: Call, _ lowerer: Lowerer, isProduct: Bool) throws {
        let x = try lowerer.dense(call.id("x"), for: call)
        let (outer, size, inner) = split(x.shape, at: try call.axis(rank: x.rank))
        let (exclusive, reverse) = (try call.bool("exclusive"), try call.bool("reverse"))
        let output = lowerer.allocate(x.shape, x.dtype)
        lowerer.define(call.operation.outputs[0], output)
        let reason = "running \(isProduct ? "products" : "sums")"
        lowerer.emit(call, kernel: "cumulate", reason: reason, reads: [x], writes: [output]) { frame in
            mk_cumulate(
                x.dtype.element, isProduct ? 1 : 0, exclusive ? 1 : 0, reverse ? 1 : 0, outer, size, inner, frame[x],
                frame[output])
        }
    }

    /// Integers have four reductions of their own; squares and magnitudes are summed, all others go through fp32.
    private static func preparedWhole(
        _ x: View, _ mode: mk_reduction, _ lowerer: Lowerer, _ call: Call
    ) throws -> (View, mk_reduction) {
        switch mode {
        case MK_REDUCE_SUM, MK_REDUCE_MAX, MK_REDUCE_MIN, MK_REDUCE_PROD: (x, mode)
        case MK_REDUCE_SUM_SQUARE:
            (try lowerer.compute(MK_SQUARE_I, of: [x], as: .int32, for: call, why: "squares to sum"), MK_REDUCE_SUM)
        case MK_REDUCE_L1:
            (try lowerer.compute(MK_ABS_I, of: [x], as: .int32, for: call, why: "magnitudes to sum"), MK_REDUCE_SUM)
        default: (try lowerer.compute(MK_F_FROM_I, of: [x], as: .float32, for: call, why: "as fp32"), mode)
        }
    }

    private static func position(_ name: String, least: Bool) -> Kernel {
        Kernel(name: name) { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let x = try lowerer.dense(call.id("x"), for: call)
            let (outer, size, inner) = split(x.shape, at: try call.axis(rank: x.rank))
            let type = try lowerer.function.tensorType(id)
            let width = Int32(type.dtype.size)
            guard let whole = wholeLane(x) else {
                let output = lowerer.allocate(type.shape, type.dtype)
                lowerer.define(id, output)
                let element = x.dtype.element
                return lowerer.emit(
                    call, kernel: "argmax", reason: "the first of equals", reads: [x], writes: [output]
                ) { frame in
                    mk_argmax_typed(element, least ? 1 : 0, outer, size, inner, frame[x], width, frame[output])
                }
            }
            let output = lowerer.allocate(type.shape, .int32)
            lowerer.emit(call, kernel: "argmax", reason: "the first of equals", reads: [x], writes: [output]) { frame in
                mk_argmax(
                    whole, least ? 1 : 0, outer, size, inner, frame[x],
                    frame[output].assumingMemoryBound(to: Int32.self))
            }
            guard type.dtype != .int32 else { return lowerer.define(id, output) }
            let result = lowerer.allocate(type.shape, type.dtype)
            lowerer.define(id, result)
            let reason = "positions as \(type.dtype.name)"
            lowerer.emit(call, kernel: "copy", reason: reason, reads: [output], writes: [result]) { frame in
                mk_wider_indices(
                    Int64(output.count), frame[output].assumingMemoryBound(to: Int32.self), width, frame[result])
            }
        }
    }

    /// The operand with the reduced axes next to each other: as it lies where they are, else copied with them last.
    private static func gathered(_ source: View, _ axes: [Int], _ lowerer: Lowerer, _ call: Call) throws -> (
        View, Int64, Int64, Int64
    ) {
        let axes = axes.filter { source.shape[$0] != 1 }.sorted()
        let kept = source.shape.indices.filter { !axes.contains($0) }
        func size(_ dimensions: [Int]) -> Int64 { Int64(dimensions.map { source.shape[$0] }.reduce(1, *)) }
        // Kept axes must come out in row-major order; the reduced ones may lie in front, between or behind.
        for place in 0...kept.count {
            let order = Array(kept[..<place]) + axes + Array(kept[place...])
            if source.isDense(order: order) {
                return (source, size(Array(kept[..<place])), size(axes), size(Array(kept[place...])))
            }
        }
        return (lowerer.dense(source, order: kept + axes, for: call), size(kept), size(axes), 1)
    }
}

/// 1 where the kernels see int32 lanes, 0 for fp32; nil where they are typed.
private func wholeLane(_ view: View) -> Int32? {
    switch view.dtype {
    case .float32: 0
    case .int32: 1
    default: nil
    }
}

extension DataType {
    /// The code of the typed kernels.
    var element: mk_element { mk_element(UInt32(rawValue)) }
}
