import MIL

// Matrix products.

extension MPSGraph {
    public func matrixMultiplication(
        primary primaryTensor: MPSGraphTensor, secondary secondaryTensor: MPSGraphTensor, name: String?
    ) -> MPSGraphTensor {
        let (x, y) = (type(primaryTensor), type(secondaryTensor))
        guard x.dtype == y.dtype, x.dtype.isFloat else { graphAbort("a matrix product of \(x) and \(y)") }
        guard x.rank >= 2, y.rank >= 2 else { graphAbort("a matrix product of ranks \(x.rank) and \(y.rank)") }
        // Then sums run on behind the last row, as PyTorch's issue 195163 found on Macs.
        guard (x.shape.last ?? 0) < 32767 else { graphAbort("sums of \(x.shape.last ?? 0) products, which are wrong") }
        return emit("matmul", ["x": primaryTensor, "y": secondaryTensor], name)
    }
}
