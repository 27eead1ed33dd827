#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Normalizations, in fp32 throughout: squares of fp16 numbers leave their range.

    extension MetalLowerings {
        static let normalization: [Lowering] = [
            Lowering("batch_norm", .graphFloats) { call, builder in
                let (x, shape) = (try builder.term("x", call), try call.type("x").shape)
                return [
                    try x.inSingle { x in
                        func channel(_ name: String) throws -> Term? {
                            guard call.has(name) else { return nil }
                            return try builder.term(name, call).cast(to: x.type).along(1, rank: 3)
                        }
                        guard let mean = try channel("mean"), let variance = try channel("variance") else { return x }
                        return try x.reshaped([shape[0], shape[1], shape[2...].reduce(1, *)])
                            .normalized(mean, variance, channel("gamma"), channel("beta"), call).reshaped(shape)
                    }.tensor
                ]
            },
            Lowering("instance_norm", .graphFloats) { call, builder in
                let shape = try call.type("x").shape
                let sizes = [shape[0], shape[1], shape[2...].reduce(1, *)]
                return [try standardized(call, builder, sizes, axis: 2, parameters: [1, shape[1], 1])]
            },
            Lowering(
                "layer_norm", .graphFloats,
                refusal: { call in
                    trailing(call) == nil ? "MPSGraph's means are over the last axes." : nil
                }
            ) { call, builder in
                let shape = try call.type("x").shape
                let first = trailing(call) ?? 0
                let sizes = [shape[..<first].reduce(1, *), shape[first...].reduce(1, *)]
                return [try standardized(call, builder, sizes, axis: 1, parameters: [1, sizes[1]])]
            },
        ]

        /// The first of the axes, where they are the last ones of x.
        private static func trailing(_ call: Call) -> Int? {
            guard let rank = try? call.type("x").rank else { return nil }
            let axes = ((try? call.axes(rank: rank)) ?? Array(0..<rank)).sorted()
            guard let first = axes.first, axes == Array(first..<rank) else { return nil }
            return first
        }

        /// x as a shape of which one axis gets mean 0 and variance 1, times gamma plus beta.
        private static func standardized(
            _ call: Call, _ builder: GraphBuilder, _ sizes: [Int], axis: Int, parameters: [Int]
        ) throws -> MPSGraphTensor {
            let x = try builder.term("x", call)
            return try x.inSingle { x in
                func parameter(_ name: String) throws -> Term? {
                    guard call.has(name) else { return nil }
                    return try builder.term(name, call).cast(to: x.type).reshaped(parameters)
                }
                let (image, axes) = (x.reshaped(sizes), [axis].numbers)
                let mean = x.graph.mean(of: image.tensor, axes: axes, name: nil)
                let variance = x.graph.variance(of: image.tensor, mean: mean, axes: axes, name: nil)
                return try image.normalized(
                    Term(mean, x.graph), Term(variance, x.graph), parameter("gamma"), parameter("beta"), call
                ).reshaped(x.sizes)
            }.tensor
        }
    }

    extension Term {
        fileprivate func normalized(
            _ mean: Term, _ variance: Term, _ gamma: Term?, _ beta: Term?, _ call: Call
        ) throws -> Term {
            Term(
                graph.normalize(
                    tensor, mean: mean.tensor, variance: variance.tensor, gamma: gamma?.tensor, beta: beta?.tensor,
                    epsilon: try call.float("epsilon"), name: nil), graph)
        }
    }
#endif
