import MIL

// Ops that move elements.

public enum MPSGraphPaddingMode: Int, Sendable {
    case constant = 0
    case reflect = 1
    case symmetric = 2
    case clampToEdge = 3
    case zero = 4
    case periodic = 5
    case antiPeriodic = 6
}

extension MPSGraph {
    public func transpose(_ tensor: MPSGraphTensor, permutation: [NSNumber], name: String?) -> MPSGraphTensor {
        let order = permutation.map(\.intValue)
        guard order.sorted() == Array(0..<type(tensor).rank) else {
            graphAbort("the permutation \(order) of \(type(tensor))")
        }
        return emit("transpose", ["x": tensor, "perm": order], name)
    }

    public func transposeTensor(_ tensor: MPSGraphTensor, dimension: Int, withDimension: Int, name: String?)
        -> MPSGraphTensor
    {
        var order = Array(0..<type(tensor).rank)
        order.swapAt(dimension, withDimension)
        return emit("transpose", ["x": tensor, "perm": order], name)
    }

    public func concatTensors(_ tensors: [MPSGraphTensor], dimension: Int, name: String?) -> MPSGraphTensor {
        emit("concat", ["values": tensors, "axis": dimension, "interleave": false], name)
    }

    public func concatTensors(_ tensors: [MPSGraphTensor], dimension: Int, interleave: Bool, name: String?)
        -> MPSGraphTensor
    { emit("concat", ["values": tensors, "axis": dimension, "interleave": interleave], name) }

    public func tileTensor(_ tensor: MPSGraphTensor, withMultiplier multiplier: [NSNumber], name: String?)
        -> MPSGraphTensor
    { emit("tile", ["x": tensor, "reps": multiplier.map(\.intValue)], name) }

    public func reverse(_ tensor: MPSGraphTensor, axes: [NSNumber], name: String?) -> MPSGraphTensor {
        emit("reverse", ["x": tensor, "axes": axes.map(\.intValue)], name)
    }

    public func padTensor(
        _ tensor: MPSGraphTensor, with paddingMode: MPSGraphPaddingMode, leftPadding: [NSNumber],
        rightPadding: [NSNumber], constantValue: Double, name: String?
    ) -> MPSGraphTensor {
        let modes: [MPSGraphPaddingMode: String] = [
            .constant: "constant", .reflect: "reflect", .clampToEdge: "replicate",
        ]
        guard let mode = modes[paddingMode] else { graphAbort("pads of \(paddingMode), which no stand-in plays") }
        let type = type(tensor)
        guard type.dtype != .bool else { graphAbort("pads around booleans") }
        // pytorch/pytorch 194922: wrong elements
        guard type.rank <= 4 else { graphAbort("pads around \(type)") }
        guard leftPadding.count == type.rank, rightPadding.count == type.rank else {
            graphAbort("pads \(leftPadding) and \(rightPadding) around \(type)")
        }
        let pad = zip(leftPadding, rightPadding).flatMap { [$0.intValue, $1.intValue] }
        let value = Tensor([constantValue], dtype: type.dtype, shape: [])
        return emit("pad", ["x": tensor, "pad": pad, "mode": mode, "constant_val": value], name)
    }

    public func sliceTensor(
        _ tensor: MPSGraphTensor, starts: [NSNumber], ends: [NSNumber], strides: [NSNumber], name: String?
    ) -> MPSGraphTensor {
        let (begin, end, stride) = (starts.map(\.intValue), ends.map(\.intValue), strides.map(\.intValue))
        let result = emit("slice_by_index", ["x": tensor, "begin": begin, "end": end, "stride": stride], name)
        guard type(result).count > 0 else { graphAbort("a slice from \(begin) to \(end) without elements") }
        return result
    }

    public func sliceTensor(_ tensor: MPSGraphTensor, dimension: Int, start: Int, length: Int, name: String?)
        -> MPSGraphTensor
    {
        let shape = type(tensor).shape
        guard shape.indices.contains(dimension), start >= 0, length > 0, start + length <= shape[dimension] else {
            graphAbort("the slice of \(length) from \(start) along \(dimension) of \(shape)")
        }
        let begin = shape.indices.map { $0 == dimension ? start : 0 }
        let size = shape.indices.map { $0 == dimension ? length : shape[$0] }
        return emit("slice_by_size", ["x": tensor, "begin": begin, "size": size], name)
    }

    public func sliceUpdateDataTensor(
        _ dataTensor: MPSGraphTensor, update updateTensor: MPSGraphTensor, starts: [NSNumber], ends: [NSNumber],
        strides: [NSNumber], name: String?
    ) -> MPSGraphTensor {
        emit(
            "slice_update",
            [
                "x": dataTensor, "update": updateTensor, "begin": starts.map(\.intValue), "end": ends.map(\.intValue),
                "stride": strides.map(\.intValue),
            ], name)
    }

    public func bandPart(_ inputTensor: MPSGraphTensor, numLower: Int, numUpper: Int, name: String?) -> MPSGraphTensor {
        emit("band_part", ["x": inputTensor, "lower": numLower, "upper": numUpper], name)
    }
}
