import MIL

// Variances, and what is normalized by them.

extension MPSGraph {
    public func variance(of tensor: MPSGraphTensor, mean meanTensor: MPSGraphTensor, axes: [NSNumber], name: String?)
        -> MPSGraphTensor
    {
        let centred = emit("sub", ["x": tensor, "y": meanTensor])
        return mean(of: emit("square", ["x": centred]), axes: axes, name: name)
    }

    public func normalize(
        _ tensor: MPSGraphTensor, mean: MPSGraphTensor, variance: MPSGraphTensor, gamma: MPSGraphTensor?,
        beta: MPSGraphTensor?, epsilon: Float, name: String?
    ) -> MPSGraphTensor {
        for other in [mean, variance, gamma, beta].compactMap({ $0 }) {
            guard type(other).dtype == type(tensor).dtype, type(other).rank == type(tensor).rank else {
                graphAbort("\(type(tensor)) normalized with \(type(other))")
            }
        }
        let scale = emit("rsqrt", ["x": variance, "epsilon": epsilon])
        var result = emit("mul", ["x": emit("sub", ["x": tensor, "y": mean]), "y": scale])
        if let gamma { result = emit("mul", ["x": result, "y": gamma]) }
        if let beta { result = emit("add", ["x": result, "y": beta]) }
        return result
    }
}
