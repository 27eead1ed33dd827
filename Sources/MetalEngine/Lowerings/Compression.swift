#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Compressed weights. Ops that only shift and scale are said by their expansions; what is packed in bits, and where a
    // mask is set, has to be known before the run, as it is in every model.

    extension MetalLowerings {
        static let compression: [Lowering] = [
            Lowering("constexpr_lut_to_dense", refusal: { packedRefusal($0, "indices") }) { call, builder in
                guard call.has("shape") else {
                    return [
                        try looked(
                            builder.term("indices", call), builder.term("lut", call), axis: vectorAxis(call)
                        ).reshaped(call.result().shape).tensor
                    ]
                }
                let lut = try builder.term("lut", call)
                let bits = max(1, lut.sizes[0].trailingZeroBitCount)
                let places = try unpacked(call.known("indices"), bits, call.result().shape.reduce(1, *))
                return [lut.gathered(lut.indices(places), axis: 0).reshaped(try call.result().shape).tensor]
            },
            Lowering("constexpr_sparse_to_dense", refusal: { packedRefusal($0, "mask") }) { call, builder in
                let shape = try call.result().shape
                let data = try builder.term("nonzero_data", call)
                guard call.has("shape") || call.constant("mask") != nil else {
                    return [try data.spread(over: builder.term("mask", call)).tensor]
                }
                let mask =
                    try call.has("shape")
                    ? unpacked(call.known("mask"), 1, shape.reduce(1, *)).map { $0 != 0 } : call.mask("mask")
                return [try data.spread(over: mask).reshaped(shape).tensor]
            },
            Lowering("constexpr_lut_to_sparse", refusal: { maskRefusal($0, "indices_mask") }) { call, builder in
                let (mask, shape) = (try call.mask("indices_mask"), try call.type("indices_mask").shape)
                let axis = try vectorAxis(call)
                let indices = try builder.term("indices_nonzero_data", call).cast(to: .int32).spread(over: mask)
                let lut = try builder.term("lut", call)
                let dense = looked(indices.reshaped(shape), lut, axis: axis)
                let wide = widened(mask, shape, axis, lut.sizes.last ?? 1)
                return [try builder.constant(Tensor(wide, shape: call.result().shape)), dense.kept(by: wide).tensor]
            },
            Lowering(
                "constexpr_sparse_blockwise_shift_scale", refusal: { maskRefusal($0, "data_mask") }
            ) { call, builder in
                let (mask, shape) = (try call.mask("data_mask"), try call.type("data_mask").shape)
                let scale = try builder.term("scale", call)
                let data = try builder.term("nonzero_data", call).cast(to: scale.type).spread(over: mask)
                let blocks = zip(shape, scale.sizes).flatMap { [$1, $0 / $1] }
                let each = scale.sizes.flatMap { [$0, 1] }
                var values = data.reshaped(blocks)
                if call.has("offset") {
                    values = values - (try builder.term("offset", call).cast(to: scale.type).reshaped(each))
                }
                return [
                    try builder.constant(Tensor(mask, shape: shape)),
                    (values * scale.reshaped(each)).reshaped(shape).kept(by: mask).tensor,
                ]
            },
        ]

        private static func vectorAxis(_ call: Call) throws -> Int? {
            let rank = try call.type("lut").rank - 2
            return try call.has("vector_axis") ? call.axis("vector_axis", rank: rank) : nil
        }

        @Sendable private static func packedRefusal(_ call: Call, _ name: String) -> String? {
            call.has("shape") ? maskRefusal(call, name) : nil
        }

        @Sendable private static func maskRefusal(_ call: Call, _ name: String) -> String? {
            call.constant(name) == nil ? "'\(name)' is not known before the run." : nil
        }

        /// Numbers of some bits each, the lowest bits of the first byte first.
        private static func unpacked(_ packed: MIL.Tensor, _ bits: Int, _ count: Int) throws -> [Int] {
            let bytes = packed.array(of: UInt8.self)
            guard bytes.count * 8 >= count * bits else {
                throw Failure(.invalidArgument, "\(bytes.count) bytes do not hold \(count) numbers of \(bits) bits.")
            }
            return (0..<count).map { place in
                (0..<bits).reduce(0) { number, bit in
                    let at = place * bits + bit
                    return number | Int(bytes[at / 8] >> UInt8(at % 8) & 1) << bit
                }
            }
        }

        /// Each index replaced by an entry of the table of its block; vectors are laid along an axis.
        private static func looked(_ indices: Term, _ lut: Term, axis: Int?) -> Term {
            let (shape, tables) = (indices.sizes, Array(lut.sizes.dropLast(2)))
            let (entries, vector) = (lut.sizes[lut.sizes.count - 2], lut.sizes[lut.sizes.count - 1])
            var places = indices.cast(to: .int32)
            for (axis, size) in shape.enumerated() where tables[axis] > 1 {
                let step = tables[(axis + 1)...].reduce(entries, *)
                let starts = (0..<size).map { $0 / (size / tables[axis]) * step }
                places = places + places.indices(starts).along(axis, rank: shape.count)
            }
            let rows = lut.reshaped([tables.reduce(entries, *), vector])
                .gathered(places.reshaped([shape.reduce(1, *)]), axis: 0).reshaped(shape + [vector])
            guard let axis, vector > 1 else { return rows.reshaped(shape.map { $0 } + (vector > 1 ? [vector] : [])) }
            let order = Array(0...axis) + [shape.count] + Array(axis + 1..<shape.count)
            return rows.transposed(order).reshaped(
                shape.enumerated().map { $0.offset == axis ? $0.element * vector : $0.element })
        }

        /// A mask whose every element stands for a vector along an axis.
        private static func widened(_ mask: [Bool], _ shape: [Int], _ axis: Int?, _ vector: Int) -> [Bool] {
            guard let axis, vector > 1 else { return mask }
            let inner = shape[(axis + 1)...].reduce(1, *)
            return (0..<mask.count * vector).map { place in mask[place / (inner * vector) * inner + place % inner] }
        }
    }

    extension Term {
        /// The elements in order where a mask is set, 0 elsewhere, as a list.
        fileprivate func spread(over mask: [Bool]) throws -> Term {
            var stored = 0
            let places = mask.map { isSet -> Int in
                defer { stored += isSet ? 1 : 0 }
                return isSet ? stored : 0
            }
            guard stored <= sizes.reduce(1, *) else {
                throw Failure(
                    .invalidArgument, "The mask is set \(stored) times, for \(sizes.reduce(1, *)) stored elements.")
            }
            let values = gathered(indices(places), axis: 0)
            return (indices(mask.map { $0 ? 1 : 0 }) != 0).choose(values, values.number(0))
        }

        /// The same where the mask comes at run time.
        fileprivate func spread(over mask: Term) -> Term {
            let isSet = mask.cast(to: .int32).reshaped([mask.sizes.reduce(1, *)])
            let places = Term(
                graph.cumulativeSum(isSet.tensor, axis: 0, exclusive: true, reverse: false, name: nil), graph)
            let values = gathered(places.held(from: 0, to: Double(sizes.reduce(1, *) - 1)), axis: 0)
            return (isSet != 0).choose(values, values.number(0)).reshaped(mask.sizes)
        }

        /// The elements where a mask is set, as a list.
        fileprivate func kept(by mask: [Bool]) -> Term {
            reshaped([mask.count]).gathered(indices(mask.indices.filter { mask[$0] }), axis: 0)
        }
    }

    extension Call {
        fileprivate func mask(_ name: String) throws -> [Bool] {
            let tensor = try known(name)
            return (0..<tensor.count).map { !tensor.isZero(at: $0) }
        }
    }
#endif
