#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    // Attention. MPSGraph takes [batch, heads, rows, size] and adds a mask of numbers. Recurrent layers: `Recurrent.swift`.

    extension MetalLowerings {
        static let sequence: [Lowering] = [
            Lowering("scaled_dot_product_attention", .graphFloats.union([.bool])) { call, builder in
                let (query, key, value) = (
                    try builder.term("query", call), try builder.term("key", call), try builder.term("value", call)
                )
                let scores = Array(query.sizes.dropLast()) + [key.sizes[key.sizes.count - 2]]
                let mask = try call.has("attn_mask") ? builder.term("attn_mask", call) : nil
                let attention = Attention(
                    key: key.inFour, value: value.inFour, scale: 1 / Float(query.sizes.last ?? 1).squareRoot())
                let result = attention.mixed(for: query.inFour, mask?.numbers(query.type).aligned(with: scores))
                return [result.reshaped(query.sizes.dropLast() + value.sizes.suffix(1)).tensor]
            }
        ]
    }

    /// What queries are compared with, and what is mixed for them.
    private struct Attention {
        let key: Term
        let value: Term
        let scale: Float

        /// Above some 15,000 rows MPSGraph was seen to leave parts of the result wrong, and never where queries came in
        /// blocks of 2048 (github.com/antirez/h3.c, issue 16).
        static let (mostRows, block) = (8192, 2048)

        func mixed(for query: Term, _ mask: Term?) -> Term {
            let rows = query.sizes[2]
            guard Swift.max(rows, key.sizes[2]) > Attention.mostRows else { return whole(query, mask) }
            let blocks = stride(from: 0, to: rows, by: Attention.block).map { start in
                let length = Swift.min(Attention.block, rows - start)
                let part = mask.map { $0.sizes[2] == 1 ? $0 : $0.part(start, length, of: 2) }
                return whole(query.part(start, length, of: 2), part).tensor
            }
            guard blocks.count > 1 else { return Term(blocks[0], query.graph) }
            return Term(query.graph.concatTensors(blocks, dimension: 2, name: nil), query.graph)
        }

        private func whole(_ query: Term, _ mask: Term?) -> Term {
            Term(
                query.graph.scaledDotProductAttention(
                    query: query.tensor, key: key.tensor, value: value.tensor, mask: mask?.tensor, scale: scale,
                    name: nil), query.graph)
        }
    }

    extension Term {
        /// As [batch, heads, rows, size]: rank 3 has one head, of more all in front are one batch.
        fileprivate var inFour: Term {
            let (front, back) = (sizes.dropLast(3), sizes.suffix(3))
            return sizes.count == 3
                ? reshaped([sizes[0], 1, sizes[1], sizes[2]]) : reshaped([front.reduce(1, *)] + back)
        }

        /// A mask as what is added: minus infinity leaves a source out.
        fileprivate func numbers(_ type: MPSDataType) -> Term {
            guard self.type == .bool else { return cast(to: type) }
            let zero = Term(graph.constant(0, shape: [1].numbers, dataType: type), graph)
            return choose(zero, zero.number(-.infinity))
        }

        /// A mask with four axes, which broadcasts to scores of a shape.
        fileprivate func aligned(with scores: [Int]) -> Term {
            let padded = Array(repeating: 1, count: scores.count - sizes.count) + sizes
            guard scores.count > 4 else { return reshaped(padded).inFour }
            return reshaped(padded).broadcast(scores.dropLast(3) + padded.suffix(3)).inFour
        }

        /// Some places of an axis.
        fileprivate func part(_ start: Int, _ length: Int, of axis: Int) -> Term {
            Term(graph.sliceTensor(tensor, dimension: axis, start: start, length: length, name: nil), graph)
        }
    }
#endif
