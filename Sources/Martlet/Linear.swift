/// A fully connected layer: x · weightᵀ + bias along the last axis.
///
///     let linear = Linear(784, 256)
///     let hidden = try linear.forward(input).relu()
public struct Linear: Sendable {
    /// [outputs, inputs].
    public let weight: Tensor
    /// [outputs]; nothing is added where it is nil.
    public let bias: Tensor?

    /// Weights and bias spread evenly within ±1/√inputs, as fp32; the same seed gives the same layer on one device.
    public init(_ inputs: Int, _ outputs: Int, bias: Bool = true, seed: UInt64? = nil) {
        let bound = 1 / Double(max(inputs, 1)).squareRoot()
        weight = .rand([outputs, inputs], from: -bound, to: bound, seed: seed)
        self.bias = bias ? .rand([outputs], from: -bound, to: bound, seed: seed.map { $0 &+ 1 }) : nil
    }

    /// A layer with given weights [outputs, inputs] and bias [outputs]. Fails where their shapes do not fit.
    public init(weight: Tensor, bias: Tensor? = nil) throws {
        guard weight.shape.count == 2 else {
            throw Failure(.invalidArgument, "The weight has shape \(weight.shape); it must be [outputs, inputs].")
        }
        if let bias, bias.shape != [weight.shape[0]] {
            throw Failure(.invalidArgument, "The bias has shape \(bias.shape); it must be [\(weight.shape[0])].")
        }
        (self.weight, self.bias) = (weight, bias)
    }

    /// […, inputs] to […, outputs].
    public func forward(_ x: Tensor) throws -> Tensor {
        try eager("linear", ["x": x, "weight": weight, "bias": bias])
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try forward(x) }
}
