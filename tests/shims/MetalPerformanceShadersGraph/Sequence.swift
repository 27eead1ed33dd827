import MIL

// Attention of the stand-in.

extension MPSGraph {
    public func scaledDotProductAttention(
        query queryTensor: MPSGraphTensor, key keyTensor: MPSGraphTensor, value valueTensor: MPSGraphTensor,
        mask maskTensor: MPSGraphTensor?, scale: Float, name: String?
    ) -> MPSGraphTensor {
        let query = type(queryTensor)
        float(queryTensor, "scaledDotProductAttention")
        guard query.rank == 4 else { graphAbort("attention of \(query)") }
        guard query.shape[2] <= 14_000 else {
            graphAbort("attention of more rows than GPUs were seen to compute right")
        }
        let scaled = multiplication(queryTensor, number(Double(scale), query.dtype), name: nil)
        var scores = emit("matmul", ["x": scaled, "y": keyTensor, "transpose_y": true])
        if let maskTensor { scores = addition(scores, maskTensor, name: nil) }
        return emit("matmul", ["x": emit("softmax", ["x": scores]), "y": valueTensor], name)
    }
}
