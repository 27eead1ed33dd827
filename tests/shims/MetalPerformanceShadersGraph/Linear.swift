import MIL

// Matrix products.

extension MPSGraph {
    public func matrixMultiplication(
        primary primaryTensor: MPSGraphTensor, secondary secondaryTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        let (x, y) = (type(primaryTensor), type(secondaryTensor))
        guard x.dtype == y.dtype, x.dtype.isFloat else { graphAbort("a matrix product of \(x) and \(y)") }
        guard x.rank >= 2, y.rank >= 2 else { graphAbort("a matrix product of ranks \(x.rank) and \(y.rank)") }
        return emit("matmul", ["x": primaryTensor, "y": secondaryTensor], name)
    }
}
