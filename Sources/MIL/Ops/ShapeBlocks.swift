// Shape, second part: blocks of pixels become channels or batch, and back.

extension OpTable {
    static let blockOps: [Op] = [
        pixels(
            "depth_to_space", "block_size",
            "channels of x spread over blocks of pixels; the block is the outer part of a channel"
        ) {
            try toSpace($0, $1, $2, blockFirst: true)
        },
        pixels(
            "pixel_shuffle", "upscale_factor",
            "channels of x spread over blocks of pixels; the block is the inner part of a channel"
        ) {
            try toSpace($0, $1, $2, blockFirst: false)
        },
        pixels(
            "space_to_depth", "block_size",
            "blocks of pixels of x gathered as channels; the block is the outer part of a channel"
        ) {
            try toDepth($0, $1, $2, blockFirst: true)
        },
        pixels(
            "pixel_unshuffle", "downscale_factor",
            "blocks of pixels of x gathered as channels; the block is the inner part of a channel"
        ) {
            try toDepth($0, $1, $2, blockFirst: false)
        },
        Op(
            "space_to_batch", .shape, "blocks of pixels of x, padded with 0, gathered along the batch",
            [
                .tensor("x", "[batch, channels, height, width]", .all),
                .ints("block_shape", "height and width of a block"),
                .ints("paddings", "[2, 2]: rows above and below, columns left and right"),
            ],
            expansion: { call, function in
                let name = call.name
                let block = try call.ints("block_shape")
                let pad = function.ints(try call.ints("paddings"), name: "\(name)_pad")
                let padded = try function.one("pad", name: "\(name)_pad", ["x": [call.id("x")], "pad": [pad]])
                let shape = try function.tensorType(padded).shape
                let split = [shape[0], shape[1], shape[2] / block[0], block[0], shape[3] / block[1], block[1]]
                return [try rearrange(&function, padded, split, [3, 5, 0, 1, 2, 4], name)]
            }
        ) { call in
            let x = try call.type("x", rank: 4...4)
            let (block, edges) = try blockAndEdges(call, "paddings")
            let shape = try (0..<2).map {
                try fit(x.shape[$0 + 2] + edges[2 * $0] + edges[2 * $0 + 1], block[$0], axis: $0 + 2)
            }
            return [TensorType(x.dtype, [try x.shape[0].times(block.product()), x.shape[1]] + shape)]
        },
        Op(
            "batch_to_space", .shape, "parts of the batch spread over blocks of pixels, then cropped",
            [
                .tensor("x", "[batch, channels, height, width]", .all),
                .ints("block_shape", "height and width of a block"),
                .ints("crops", "[2, 2]: rows cut above and below, columns cut left and right"),
            ],
            expansion: { call, function in
                let name = call.name
                let shape = try call.type("x").shape
                let (block, edges) = try blockAndEdges(call, "crops")
                let split = [block[0], block[1], shape[0] / (block[0] * block[1]), shape[1], shape[2], shape[3]]
                let spread = try rearrange(&function, call.id("x"), split, [2, 3, 4, 0, 5, 1], name)
                let whole = try function.tensorType(spread).shape
                let begin = function.ints([0, 0, edges[0], edges[2]], name: "\(name)_begin")
                let size = function.ints(
                    [whole[0], whole[1], whole[2] - edges[0] - edges[1], whole[3] - edges[2] - edges[3]],
                    name: "\(name)_size")
                return [
                    try function.one(
                        "slice_by_size", name: "\(name)_crop", ["x": [spread], "begin": [begin], "size": [size]])
                ]
            }
        ) { call in
            let x = try call.type("x", rank: 4...4)
            let (block, edges) = try blockAndEdges(call, "crops")
            let batch = try fit(x.shape[0], block.product(), axis: 0)
            let shape = try (0..<2).map { axis in
                let size = try x.shape[axis + 2].times(block[axis]) - edges[2 * axis] - edges[2 * axis + 1]
                guard size >= 0 else {
                    throw Failure(.invalidArgument, "The crops \(edges) take more than the axis \(axis + 2) has.")
                }
                return size
            }
            return [TensorType(x.dtype, [batch, x.shape[1]] + shape)]
        },
    ]

    /// Axes split, put in another order, and merged again.
    private struct Rearrangement {
        let split: [Int]
        let permutation: [Int]
        let result: [Int]
    }

    private static func pixels(
        _ name: String, _ factor: String, _ words: String,
        _ plan: @escaping @Sendable (_ shape: [Int], _ block: Int, _ area: Int) throws -> Rearrangement
    ) -> Op {
        let parameters: [Op.Parameter] = [
            .tensor("x", "[batch, channels, height, width]", .all), .int(factor, "height and width of a block"),
        ]
        @Sendable func rearrangement(_ call: Call) throws -> Rearrangement {
            let block = try call.int(factor, in: Call.positive)
            return try plan(call.type("x", rank: 4...4).shape, block, block.times(block))
        }
        return Op(
            name, .shape, words, parameters,
            expansion: { call, function in
                let plan = try rearrangement(call)
                let split = try function.reshape(call.id("x"), plan.split, name: "\(call.name)_split")
                let ordered = try function.transpose(split, plan.permutation, name: call.name)
                return [try function.reshape(ordered, plan.result, name: call.name)]
            }
        ) { call in [TensorType(try call.type("x").dtype, try rearrangement(call).result)] }
    }

    private static func toSpace(_ shape: [Int], _ block: Int, _ area: Int, blockFirst: Bool) throws -> Rearrangement {
        let channels = try fit(shape[1], area, axis: 1)
        return Rearrangement(
            split: [shape[0]] + (blockFirst ? [block, block, channels] : [channels, block, block]) + [
                shape[2], shape[3],
            ],
            permutation: blockFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3],
            result: [shape[0], channels, try shape[2].times(block), try shape[3].times(block)])
    }

    private static func toDepth(_ shape: [Int], _ block: Int, _ area: Int, blockFirst: Bool) throws -> Rearrangement {
        let (rows, columns) = (try fit(shape[2], block, axis: 2), try fit(shape[3], block, axis: 3))
        return Rearrangement(
            split: [shape[0], shape[1], rows, block, columns, block],
            permutation: blockFirst ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4],
            result: [shape[0], try shape[1].times(area), rows, columns])
    }

    private static func rearrange(
        _ function: inout Function, _ x: ValueID, _ split: [Int], _ permutation: [Int], _ name: String
    ) throws -> ValueID {
        let parts = try function.reshape(x, split, name: "\(name)_split")
        let ordered = try function.transpose(parts, permutation, name: name)
        let shape = permutation.map { split[$0] }
        // Towards the batch, the first three axes merge; back from it, the last four merge in pairs.
        let merged =
            permutation[0] == 3
            ? [shape[0] * shape[1] * shape[2], shape[3], shape[4], shape[5]]
            : [shape[0], shape[1], shape[2] * shape[3], shape[4] * shape[5]]
        return try function.reshape(ordered, merged, name: name)
    }

    private static func fit(_ size: Int, _ parts: Int, axis: Int) throws -> Int {
        guard size % parts == 0 else {
            throw Failure(.invalidArgument, "Axis \(axis) has \(size) elements; it must be a multiple of \(parts).")
        }
        return size / parts
    }

    private static func blockAndEdges(_ call: Call, _ name: String) throws -> (block: [Int], edges: [Int]) {
        (try call.ints("block_shape", count: 2, in: Call.positive), try call.ints(name, count: 4, in: Call.sizes))
    }
}
