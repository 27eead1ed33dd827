import MIL
import ShimControl

// Reductions and running sums of the stand-in. They keep the axes and see the last four dimensions alone. Short
// integers, which Apple's reduce wrongly, end the process.

extension MPSGraph {
    public func reductionSum(with tensor: MPSGraphTensor, axes: [NSNumber]?, name: String?) -> MPSGraphTensor {
        reduce("reduce_sum", tensor, axes, name)
    }

    public func reductionProduct(with tensor: MPSGraphTensor, axes: [NSNumber]?, name: String?) -> MPSGraphTensor {
        reduce("reduce_prod", tensor, axes, name)
    }

    public func reductionMaximum(with tensor: MPSGraphTensor, axes: [NSNumber]?, name: String?) -> MPSGraphTensor {
        reduce("reduce_max", droppingNaN(tensor, -.infinity), axes, name)
    }

    public func reductionMinimum(with tensor: MPSGraphTensor, axes: [NSNumber]?, name: String?) -> MPSGraphTensor {
        reduce("reduce_min", droppingNaN(tensor, .infinity), axes, name)
    }

    public func reductionMaximumPropagateNaN(with tensor: MPSGraphTensor, axes: [NSNumber]?, name: String?)
        -> MPSGraphTensor
    {
        float(tensor, "reductionMaximumPropagateNaN")
        return reduce("reduce_max", tensor, axes, name)
    }

    public func reductionMinimumPropagateNaN(with tensor: MPSGraphTensor, axes: [NSNumber]?, name: String?)
        -> MPSGraphTensor
    {
        float(tensor, "reductionMinimumPropagateNaN")
        return reduce("reduce_min", tensor, axes, name)
    }

    public func mean(of tensor: MPSGraphTensor, axes: [NSNumber], name: String?) -> MPSGraphTensor {
        float(tensor, "mean")
        return reduce("reduce_mean", tensor, axes, name)
    }

    private func reduce(_ op: String, _ tensor: MPSGraphTensor, _ axes: [NSNumber]?, _ name: String?)
        -> MPSGraphTensor
    {
        let rank = type(tensor).rank
        let axes = (axes?.map(\.intValue) ?? Array(0..<rank)).map { $0 < 0 ? $0 + rank : $0 }
        checkLanes(tensor, op)
        for axis in axes { checkMinor(axis, tensor, op) }
        guard !axes.isEmpty else { graphAbort("'\(op)' along no axis") }
        return emit(op, ["x": tensor, "axes": axes, "keep_dims": true], name)
    }

    private func droppingNaN(_ tensor: MPSGraphTensor, _ end: Double) -> MPSGraphTensor {
        let dtype = type(tensor).dtype
        guard dtype.isFloat else { return tensor }
        return emit("select", ["cond": emit("is_nan", ["x": tensor]), "a": number(end, dtype), "b": tensor])
    }

    func checkLanes(_ tensor: MPSGraphTensor, _ what: String) {
        let dtype = type(tensor).dtype
        guard dtype.isFloat || dtype == .int32 || dtype == .int64 || dtype == .uint32 || dtype == .uint64 else {
            graphAbort("'\(what)' of \(type(tensor))")
        }
    }

    /// Fails unless an axis is one of the last four.
    func checkMinor(_ axis: Int, _ tensor: MPSGraphTensor, _ what: String) {
        let rank = type(tensor).rank
        guard axis >= 0, axis < rank, axis >= rank - 4 else {
            graphAbort("'\(what)' along axis \(axis) of \(type(tensor))")
        }
    }

    public func cumulativeSum(
        _ tensor: MPSGraphTensor, axis: Int, exclusive: Bool, reverse: Bool, name: String?
    ) -> MPSGraphTensor {
        running("cumsum", tensor, axis, exclusive, reverse, name)
    }

    public func cumulativeProduct(
        _ tensor: MPSGraphTensor, axis: Int, exclusive: Bool, reverse: Bool, name: String?
    ) -> MPSGraphTensor {
        running("cumprod", tensor, axis, exclusive, reverse, name)
    }

    private func running(
        _ op: String, _ tensor: MPSGraphTensor, _ axis: Int, _ exclusive: Bool, _ reverse: Bool, _ name: String?
    ) -> MPSGraphTensor {
        checkLanes(tensor, op)
        checkMinor(axis, tensor, op)
        return emit(op, ["x": tensor, "axis": axis, "exclusive": exclusive, "reverse": reverse], name)
    }

    public func softMax(with tensor: MPSGraphTensor, axis: Int, name: String?) -> MPSGraphTensor {
        float(tensor, "softMax")
        checkMinor(axis, tensor, "softMax")
        return emit("softmax", ["x": tensor, "axis": axis], name)
    }

    public func coordinate(alongAxis axis: Int, withShape shape: [NSNumber], name: String?) -> MPSGraphTensor {
        let sizes = shape.map(\.intValue)
        guard axis >= 0, axis < sizes.count, sizes.allSatisfy({ $0 > 0 }) else {
            graphAbort("coordinates along axis \(axis) of \(sizes)")
        }
        let ramp = emit("range_1d", ["start": 0, "end": sizes[axis], "step": 1])
        let placed = emit("reshape", ["x": ramp, "shape": sizes.indices.map { $0 == axis ? sizes[axis] : 1 }])
        return broadcast(placed, shape: shape, name: name)
    }
}
