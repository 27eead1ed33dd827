// Compression: weights stored in few bits, and values quantized on the way.
// Elements of fewer than 8 bits are unpacked to 8 by the reader of a file; masks of single bits are bool.

extension OpTable {
    static let compressionOps: [Op] = [
        Op(
            "constexpr_affine_dequantize", .compression,
            "scale · (quantized_data - zero_point), one of each along an axis",
            [
                .tensor("quantized_data", "the stored numbers", .bytes),
                .tensor("zero_point", "taken off: one number, or one for each position of the axis", .stored),
                .tensor("scale", "multiplied: one number, or one for each position of the axis", .floats),
                .int("axis", "the axis of zero points and scales"),
            ],
            expansion: { call, function in
                try dequantize(
                    call, &function, data: "quantized_data", axis: call.axis(rank: call.type("quantized_data").rank))
            }
        ) { call in
            let data = try call.type("quantized_data")
            let axis = try call.axis(rank: data.rank)
            for name in ["scale", "zero_point"] { try checkPerAxis(call, name, data.shape, axis) }
            return [TensorType(try call.type("scale").dtype, data.shape)]
        },
        Op(
            "constexpr_blockwise_shift_scale", .compression,
            "scale · (data - offset), one of each for a block of elements",
            [
                .tensor("data", "the stored numbers", .stored),
                .tensor("scale", "multiplied; each axis divides that of data into equal blocks", .floats),
                .tensor("offset", "taken off, in the shape of scale; 0 where left out", .stored, optional: true),
            ],
            expansion: blockwise
        ) { call in
            let (data, scale) = (try call.type("data", rank: 1...Int.max), try call.type("scale"))
            try checkBlocks(data.shape, scale.shape, "data", "scale")
            try call.expect("offset", scale.shape)
            return [TensorType(scale.dtype, data.shape)]
        },
        Op(
            "constexpr_lut_to_dense", .compression,
            "each index replaced by the entry of a table; with `shape` the indices are packed bits",
            [
                .tensor(
                    "indices", "the indices in the table, one for each element or vector, or packed in a list of bytes",
                    [.uint8]),
                .tensor(
                    "lut", "[tables along each axis…, entries, vector], or [entries] where indices are packed", .stored),
                .tensor("shape", "the shape of the result, where indices are packed", .integers, optional: true),
                .constant(
                    "vector_axis", "the axis along which the entries, where they are vectors, are laid", .integers,
                    optional: true),
            ]
        ) { call in
            let lut = try call.type("lut")
            guard call.has("shape") else { return [TensorType(lut.dtype, try tableResult(call, lut.shape))] }
            let shape = try call.ints("shape", in: Call.sizes)
            let entries = try call.type("lut", rank: 1...1).shape[0]
            guard let bits = [2: 1, 4: 2, 16: 4, 64: 6, 256: 8][entries] else {
                throw Failure(.invalidArgument, "The lut has \(entries) entries; it must have 2, 4, 16, 64 or 256.")
            }
            try call.expect("indices", [(try shape.product().times(bits) + 7) / 8])
            return [TensorType(lut.dtype, shape)]
        },
        Op(
            "constexpr_sparse_to_dense", .compression,
            "the stored elements where the mask is set, 0 elsewhere; with `shape` the mask is packed bits",
            [
                .tensor("nonzero_data", "the elements in order", .stored),
                .tensor(
                    "mask", "where they stand: a bool for each element, or bits packed in a list of bytes",
                    [.bool, .uint8]),
                .tensor("shape", "the shape of the result, where the mask is packed", .integers, optional: true),
            ]
        ) { call in
            let data = try call.type("nonzero_data", rank: 1...1)
            let mask = try call.type("mask")
            let shape = call.has("shape") ? try call.ints("shape", in: Call.sizes) : mask.shape
            let count = try shape.product()
            if call.has("shape") { try call.expect("mask", [(count + 7) / 8]) }
            guard data.shape[0] <= count else {
                throw Failure(
                    .invalidArgument,
                    "The nonzero_data has \(data.shape[0]) elements, more than the \(count) of the result.")
            }
            return [TensorType(data.dtype, shape)]
        },
        Op(
            "constexpr_lut_to_sparse", .compression,
            "a mask, and the entries of a table for the indices where it is set",
            [
                .tensor("indices_mask", "where an index stands", [.bool]),
                .tensor("indices_nonzero_data", "the indices in order", [.uint8]),
                .tensor("lut", "[tables along each axis…, entries, vector]", .stored),
                .constant(
                    "vector_axis", "the axis along which the entries, where they are vectors, are laid", .integers,
                    optional: true),
            ]
        ) { call in
            let lut = try call.type("lut")
            let data = try call.type("indices_nonzero_data", rank: 1...1)
            let shape = try tableResult(call, lut.shape, indices: "indices_mask")
            return [TensorType(.bool, shape), TensorType(lut.dtype, [try data.shape[0].times(lut.shape.last ?? 1)])]
        },
        Op(
            "constexpr_sparse_blockwise_shift_scale", .compression,
            "a mask, and scale · (data - offset) for the elements where it is set",
            [
                .tensor("data_mask", "where an element stands", [.bool]),
                .tensor("nonzero_data", "the elements in order", .stored),
                .tensor("scale", "multiplied; each axis divides that of the mask into equal blocks", .floats),
                .tensor("offset", "taken off, in the shape of scale; 0 where left out", .stored, optional: true),
            ]
        ) { call in
            let (mask, scale) = (try call.type("data_mask", rank: 1...Int.max), try call.type("scale"))
            try checkBlocks(mask.shape, scale.shape, "data_mask", "scale")
            try call.expect("offset", scale.shape)
            return [mask, TensorType(scale.dtype, try call.type("nonzero_data", rank: 1...1).shape)]
        },
        Op(
            "constexpr_cast", .compression, "stored fp16 numbers as fp32",
            [
                .tensor("source_val", "the stored numbers", [.float16]),
                .text("output_dtype", "the element type to become: `fp32`"),
            ],
            expansion: { call, function in [try function.cast(call.id("source_val"), to: .float32, name: call.name)] }
        ) { call in
            _ = try call.text("output_dtype", among: ["fp32"])
            return [TensorType(.float32, try call.type("source_val").shape)]
        },
        Op(
            "quantize", .compression,
            "input / scale + zero_point, rounded and held within the type, one of each along an axis",
            [
                .tensor("input", "the values", .floats),
                .constant(
                    "zero_point", "added: one number, or one for each position of the axis; 0 where left out", .bytes,
                    optional: true),
                .constant("scale", "divided by: one number, or one for each position of the axis", .floats),
                .constant(
                    "axis", "the axis of zero points and scales, where there are several", .integers, optional: true),
                .text("output_dtype", "the element type to become: `int8` or `uint8`"),
            ],
            expansion: quantize
        ) { call in
            let input = try call.type("input")
            let dtype: DataType = try call.text("output_dtype", among: ["int8", "uint8"]) == "int8" ? .int8 : .uint8
            if let zero = call.constant("zero_point"), zero.dtype != dtype {
                throw Failure(
                    .wrongType, "The zero_point is \(zero.dtype.name); it must be \(dtype.name) as the output is.")
            }
            if let scale = call.constant("scale"), (0..<scale.count).contains(where: { scale.double(at: $0) == 0 }) {
                throw Failure(.invalidArgument, "The scale holds a 0; it must hold other numbers.")
            }
            try checkScales(call, input.shape)
            return [TensorType(dtype, input.shape)]
        },
        Op(
            "dequantize", .compression, "scale · (input - zero_point), one of each along an axis",
            [
                .tensor("input", "the quantized values", .bytes),
                .constant(
                    "zero_point", "taken off: one number, or one for each position of the axis; 0 where left out",
                    .bytes, optional: true),
                .constant("scale", "multiplied: one number, or one for each position of the axis", .floats),
                .constant(
                    "axis", "the axis of zero points and scales, where there are several", .integers, optional: true),
            ],
            expansion: { call, function in
                try dequantize(
                    call, &function, data: "input",
                    axis: call.has("axis") ? call.axis(rank: call.type("input").rank) : 0)
            }
        ) { call in
            let input = try call.type("input")
            try checkScales(call, input.shape)
            return [TensorType(try call.type("scale").dtype, input.shape)]
        },
    ]

    /// A number, or one for each position of an axis.
    private static func checkPerAxis(_ call: Call, _ name: String, _ shape: [Int], _ axis: Int) throws {
        guard call.has(name), try call.type(name).rank != 0 else { return }
        try call.expect(name, [shape[axis]])
    }

    /// A scale and zero point for the whole tensor and no axis, or an axis and one of each for its positions.
    private static func checkScales(_ call: Call, _ shape: [Int]) throws {
        let rank = try call.type("scale", rank: 0...1).rank
        if call.has("zero_point"), try call.type("zero_point").rank != rank {
            throw Failure(.invalidArgument, "scale and zero_point must both be one number or both a list.")
        }
        guard (rank == 1) == call.has("axis") else {
            throw Failure(.invalidArgument, "An axis must be given where scale is a list, and only there.")
        }
        guard rank == 1 else { return }
        let axis = try call.axis(rank: shape.count)
        for name in ["scale", "zero_point"] { try checkPerAxis(call, name, shape, axis) }
    }

    private static func checkBlocks(_ shape: [Int], _ blocks: [Int], _ name: String, _ other: String) throws {
        guard shape.count == blocks.count, zip(shape, blocks).allSatisfy({ $1 > 0 && $0 % $1 == 0 }) else {
            throw Failure(
                .invalidArgument,
                "\(name) \(shape) and \(other) \(blocks) do not fit; each axis of \(other) must divide that of \(name)."
            )
        }
    }

    /// The shape that looking up indices gives: entries may be vectors along an axis.
    private static func tableResult(_ call: Call, _ lut: [Int], indices: String = "indices") throws -> [Int] {
        var shape = try call.type(indices, rank: 1...Int.max).shape
        guard lut.count == shape.count + 2 else {
            throw Failure(
                .invalidArgument,
                "The lut has rank \(lut.count); it must have two axes more than the indices, \(shape.count + 2).")
        }
        try checkBlocks(shape, Array(lut.dropLast(2)), indices, "lut")
        let (entries, vector) = (lut[lut.count - 2], lut[lut.count - 1])
        guard (2...256).contains(entries), entries & (entries - 1) == 0, vector >= 1 else {
            throw Failure(
                .invalidArgument,
                "The lut has \(entries) entries of \(vector); it must have 2, 4, … or 256 of at least 1.")
        }
        guard call.has("vector_axis") else {
            guard vector == 1 else {
                throw Failure(.invalidArgument, "The entries of lut are vectors; then vector_axis must be given.")
            }
            return shape
        }
        let axis = try call.axis("vector_axis", rank: shape.count)
        shape[axis] = try shape[axis].times(vector)
        return shape
    }

    private static func dequantize(_ call: Call, _ function: inout Function, data: String, axis: Int) throws
        -> [ValueID]
    {
        let name = call.name
        let rank = try call.type(data).rank
        let dtype = try call.type("scale").dtype
        var x = try function.cast(call.id(data), to: dtype, name: "\(name)_data")
        if call.has("zero_point") {
            var zero = try function.cast(call.id("zero_point"), to: dtype, name: "\(name)_zero_point")
            zero = try function.vector(zero, along: axis, rank: rank, name: "\(name)_zero_point")
            x = try function.one("sub", name: "\(name)_sub", ["x": [x], "y": [zero]])
        }
        let scale = try function.vector(call.id("scale"), along: axis, rank: rank, name: "\(name)_scale")
        return [try function.one("mul", name: "\(name)_mul", ["x": [x], "y": [scale]])]
    }

    private static func quantize(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let rank = try call.type("input").rank
        let axis = call.has("axis") ? try call.axis(rank: rank) : 0
        let dtype = try call.type("input").dtype
        var scale = try function.cast(call.id("scale"), to: dtype, name: "\(name)_scale")
        scale = try function.vector(scale, along: axis, rank: rank, name: "\(name)_scale")
        var x = try function.one("real_div", name: "\(name)_div", ["x": [call.id("input")], "y": [scale]])
        x = try function.one("round", name: "\(name)_round", ["x": [x]])
        if call.has("zero_point") {
            var zero = try function.cast(call.id("zero_point"), to: dtype, name: "\(name)_zero_point")
            zero = try function.vector(zero, along: axis, rank: rank, name: "\(name)_zero_point")
            x = try function.one("add", name: "\(name)_add", ["x": [x], "y": [zero]])
        }
        let signed = try call.text("output_dtype") == "int8"
        let low = function.number(signed ? -128 : 0, as: dtype, name: "\(name)_low")
        let high = function.number(signed ? 127 : 255, as: dtype, name: "\(name)_high")
        x = try function.one("clip", name: "\(name)_clip", ["x": [x], "alpha": [low], "beta": [high]])
        return [try function.cast(x, to: signed ? .int8 : .uint8, name: name)]
    }

    /// Each axis is split into blocks and their elements, so that one scale broadcasts over a block.
    private static func blockwise(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let (data, scale) = (try call.type("data"), try call.type("scale"))
        let split = zip(data.shape, scale.shape).flatMap { [$1, $0 / $1] }
        let spread = scale.shape.flatMap { [$0, 1] }
        var x = try function.cast(call.id("data"), to: scale.dtype, name: "\(name)_data")
        x = try function.reshape(x, split, name: "\(name)_blocks")
        if call.has("offset") {
            var offset = try function.cast(call.id("offset"), to: scale.dtype, name: "\(name)_offset")
            offset = try function.reshape(offset, spread, name: "\(name)_offset")
            x = try function.one("sub", name: "\(name)_sub", ["x": [x], "y": [offset]])
        }
        let factor = try function.reshape(call.id("scale"), spread, name: "\(name)_scale")
        x = try function.one("mul", name: "\(name)_mul", ["x": [x], "y": [factor]])
        return [try function.reshape(x, data.shape, name: name)]
    }
}

extension Set where Element == DataType {
    /// Numbers of 8 bits.
    static let bytes: Self = [.int8, .uint8]
    /// What weights are stored as.
    static let stored: Self = bytes.union(floats)
}
