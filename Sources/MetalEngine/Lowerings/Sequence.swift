#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    // Attention. MPSGraph takes [batch, heads, rows, size] and adds a mask of numbers. Recurrent layers: `Recurrent.swift`.

    extension MetalLowerings {
        static let sequence: [Lowering] =
            [
                Lowering("scaled_dot_product_attention", .graphFloats.union([.bool])) { call, builder in
                    let (query, key, value) = (
                        try builder.term("query", call), try builder.term("key", call), try builder.term("value", call)
                    )
                    let scale = 1 / Float(query.sizes.last ?? 1).squareRoot()
                    let operands = [query, key, value].map { $0.inFour.tensor }
                    let mask = try call.has("attn_mask") ? builder.term("attn_mask", call) : nil
                    let scores = query.sizes.dropLast() + [key.sizes[key.sizes.count - 2]]
                    let result = query.graph.scaledDotProductAttention(
                        query: operands[0], key: operands[1], value: operands[2],
                        mask: mask?.added(to: Array(scores), of: query.type).tensor, scale: scale, name: nil)
                    return [Term(result, query.graph).reshaped(query.sizes.dropLast() + value.sizes.suffix(1)).tensor]
                }
            ]
    }

    extension Term {
        /// As [batch, heads, rows, size]: rank 3 has one head, of more all in front are one batch.
        fileprivate var inFour: Term {
            let (front, back) = (sizes.dropLast(3), sizes.suffix(3))
            return sizes.count == 3
                ? reshaped([sizes[0], 1, sizes[1], sizes[2]]) : reshaped([front.reduce(1, *)] + back)
        }

        /// A mask as what is added to scores of a shape: minus infinity leaves a source out.
        fileprivate func added(to scores: [Int], of type: MPSDataType) -> Term {
            let numbers =
                self.type == .bool
                ? choose(
                    Term(graph.constant(0, shape: [1].numbers, dataType: type), graph),
                    Term(graph.constant(-Double.infinity, shape: [1].numbers, dataType: type), graph))
                : cast(to: type)
            return numbers.broadcast(scores).inFour
        }
    }
#endif
