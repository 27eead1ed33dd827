import MIL

// Movements that reductions and transforms need: they belong to the shapes' family.

public enum MPSGraphPaddingMode: Int, Sendable {
    case constant = 0
}

extension MPSGraph {
    public func transpose(_ tensor: MPSGraphTensor, permutation: [NSNumber], name: String?) -> MPSGraphTensor {
        emit("transpose", ["x": tensor, "perm": permutation.map(\.intValue)], name)
    }

    public func sliceTensor(
        _ tensor: MPSGraphTensor, dimension dimensionIndex: Int, start: Int, length: Int, name: String?
    ) -> MPSGraphTensor {
        var (begin, size) = (type(tensor).shape.map { _ in 0 }, type(tensor).shape)
        begin[dimensionIndex] = start
        size[dimensionIndex] = length
        return emit("slice_by_size", ["x": tensor, "begin": begin, "size": size], name)
    }

    public func padTensor(
        _ tensor: MPSGraphTensor, with paddingMode: MPSGraphPaddingMode, leftPadding: [NSNumber],
        rightPadding: [NSNumber], constantValue: Double, name: String?
    ) -> MPSGraphTensor {
        let pad = zip(leftPadding, rightPadding).flatMap { [$0.intValue, $1.intValue] }
        return emit("pad", ["x": tensor, "pad": pad, "mode": "constant", "constant_val": Float(constantValue)], name)
    }
}
