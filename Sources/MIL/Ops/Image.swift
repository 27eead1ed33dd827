// Images: resizing, cropping and sampling of the last two axes, height and width.

extension OpTable {
    static let imageOps: [Op] = [
        upsampling("upsample_nearest_neighbor", "the image enlarged by factors; each pixel is the nearest one", []),
        upsampling(
            "upsample_bilinear", "the image enlarged by factors; pixels are mixed linearly",
            [
                .bool("align_corners", "the centres of the corner pixels stay where they are", default: true),
                .constant(
                    "half_pixel_centers",
                    "pixels are sampled at their centres; the opposite of align_corners where left out", [.bool],
                    optional: true),
            ]),
        Op(
            "resize_nearest_neighbor", .image, "the image in another size; each pixel is the nearest one",
            [image, .int("target_size_height", "the new height"), .int("target_size_width", "the new width")]
        ) { try resized($0, "target_size_height", "target_size_width") },
        Op(
            "resize_bilinear", .image, "the image in another size; pixels are mixed linearly",
            [
                image, .int("target_size_height", "the new height", default: 1),
                .int("target_size_width", "the new width", default: 1),
                sampling,
            ]
        ) { call in
            _ = try call.text("sampling_mode", among: samplingModes)
            return try resized(call, "target_size_height", "target_size_width")
        },
        Op(
            "resize", .image, "x with its last `resized_dims` axes in another size",
            [
                .tensor("x", "the values"),
                .tensor("shape", "the new sizes, of which the last `resized_dims` count; 0 keeps one", .integers),
                .int("resized_dims", "how many axes change"),
                .text("interpolation_mode", "LINEAR or NEAREST_NEIGHBOR", default: "LINEAR"), sampling,
            ]
        ) { call in
            let x = try call.type("x")
            _ = try call.text("interpolation_mode", among: ["LINEAR", "NEAREST_NEIGHBOR"])
            _ = try call.text("sampling_mode", among: samplingModes)
            return [TensorType(x.dtype, try resizedShape(call))]
        },
        Op(
            "crop", .image, "the image without some rows and columns at its edges",
            [
                image, .ints("crop_height", "[2]: rows cut above and below"),
                .ints("crop_width", "[2]: columns cut left and right"),
            ],
            expansion: { call, function in
                let name = call.name
                let shape = try call.type("x").shape
                let (rows, columns) = (try call.ints("crop_height"), try call.ints("crop_width"))
                let kept = Array(repeating: 0, count: shape.count - 2)
                let begin = function.ints(kept + [rows[0], columns[0]], name: "\(name)_begin")
                let size = function.ints(
                    shape.dropLast(2) + [
                        shape[shape.count - 2] - rows[0] - rows[1], shape[shape.count - 1] - columns[0] - columns[1],
                    ], name: "\(name)_size")
                return [
                    try function.one(
                        "slice_by_size", name: "\(name)_slice", ["x": [call.id("x")], "begin": [begin], "size": [size]])
                ]
            }
        ) { call in
            let x = try call.type("x", rank: 3...Int.max)
            let cuts = try ["crop_height", "crop_width"].map { try call.ints($0, count: 2, in: Call.sizes) }
            let sizes = zip(x.shape.suffix(2), cuts).map { $0 - $1[0] - $1[1] }
            guard sizes.allSatisfy({ $0 > 0 }) else {
                throw Failure(.invalidArgument, "The crops \(cuts) leave nothing of the shape \(x.shape).")
            }
            return [TensorType(x.dtype, x.shape.dropLast(2) + sizes)]
        },
        Op(
            "crop_resize", .image, "boxes cut from images and brought to one size",
            [
                .tensor("x", "[batch, channels, height, width]: the images", .floats),
                .tensor("boxes", "[boxes, 4]: the boxes", Set<DataType>.floats.union([.uint16])),
                .tensor(
                    "box_indices", "[boxes]: the image of each box; 0, 1, … where left out", [.int32, .uint16],
                    optional: true),
                .int("target_height", "the height of each result", default: 1),
                .int("target_width", "the width of each result", default: 1),
                .bool("normalized_coordinates", "coordinates run from 0 to 1 over the image", default: false),
                .constant(
                    "spatial_scale", "multiplied with the coordinates first", [.float32], default: Tensor(Float(1))),
                .text(
                    "box_coordinate_mode",
                    "CORNERS_HEIGHT_FIRST, CORNERS_WIDTH_FIRST, CENTER_SIZE_HEIGHT_FIRST or CENTER_SIZE_WIDTH_FIRST",
                    default: "CORNERS_HEIGHT_FIRST"),
                sampling, .float("pad_value", "the value outside the image", default: 0),
            ]
        ) { call in
            let (x, boxes) = (try call.type("x", rank: 4...4), try call.type("boxes", rank: 2...2))
            try call.expect("boxes", [boxes.shape[0], 4])
            try call.expect("box_indices", [boxes.shape[0]])
            guard call.has("box_indices") || boxes.shape[0] <= x.shape[0] else {
                throw Failure(
                    .invalidArgument,
                    "There are \(boxes.shape[0]) boxes for \(x.shape[0]) images; box_indices must then say which is whose."
                )
            }
            if let indices = call.constant("box_indices") {
                for position in 0..<indices.count {
                    guard (0..<Double(x.shape[0])).contains(indices.double(at: position)) else {
                        throw Failure(
                            .outOfRange,
                            "The box_indices hold \(indices.double(at: position)); there are \(x.shape[0]) images.")
                    }
                }
            }
            _ = try call.text(
                "box_coordinate_mode",
                among: [
                    "CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST",
                    "CENTER_SIZE_WIDTH_FIRST",
                ])
            _ = try call.text("sampling_mode", among: samplingModes)
            guard try boxes.dtype.isFloat || !call.bool("normalized_coordinates") else {
                throw Failure(
                    .wrongType,
                    "The boxes are \(boxes.dtype.name); normalized coordinates must be floating-point numbers.")
            }
            let size = [
                try call.int("target_height", in: Call.positive), try call.int("target_width", in: Call.positive),
            ]
            return [TensorType(x.dtype, [boxes.shape[0], x.shape[1]] + size)]
        },
        Op(
            "resample", .image, "the image at given coordinates",
            [
                .tensor("x", "[batch, channels, height, width]: the images", .floats),
                .tensor("coordinates", "[batch, new height, new width, 2]: x and y of each new pixel", .numbers),
            ] + samplingParameters
        ) { call in
            let (x, coordinates) = (try call.type("x", rank: 4...4), try call.type("coordinates", rank: 4...4))
            try call.expect("coordinates", [x.shape[0], coordinates.shape[1], coordinates.shape[2], 2])
            try checkSampling(call)
            return [TensorType(x.dtype, [x.shape[0], x.shape[1], coordinates.shape[1], coordinates.shape[2]])]
        },
        Op(
            "affine", .image, "the image under an affine map of coordinates",
            [
                .tensor("x", "[batch, channels, height, width]: the images", .floats),
                .tensor(
                    "transform_matrix", "[batch or 1, 6]: a0, a1, a2, b0, b1, b2 of x' = a·(x, y, 1), y' = b·(x, y, 1)",
                    .floats),
                .int("output_height", "the new height"), .int("output_width", "the new width"),
            ] + samplingParameters
        ) { call in
            let (x, matrix) = (try call.type("x", rank: 4...4), try call.type("transform_matrix", rank: 2...2))
            guard matrix.shape[1] == 6, matrix.shape[0] == 1 || matrix.shape[0] == x.shape[0] else {
                throw Failure(
                    .invalidArgument,
                    "The transform_matrix has shape \(matrix.shape); it must be [1, 6] or [\(x.shape[0]), 6].")
            }
            try checkSampling(call)
            let size = [
                try call.int("output_height", in: Call.positive), try call.int("output_width", in: Call.positive),
            ]
            return [TensorType(x.dtype, x.shape.prefix(2) + size)]
        },
    ]

    private static let image = Op.Parameter.tensor("x", "[…, height, width]: the images", .floats)
    private static let samplingModes = [
        "DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "UNALIGN_CORNERS", "OFFSET_CORNERS",
    ]
    private static let sampling = Op.Parameter.text(
        "sampling_mode", "where samples lie: \(samplingModes.joined(separator: ", "))", default: "DEFAULT")

    private static func upsampling(_ name: String, _ words: String, _ more: [Op.Parameter]) -> Op {
        let one = Tensor(Float(1))
        let factors: Set<DataType> = [.int32, .float32]
        let parameters: [Op.Parameter] = [
            image, .constant("scale_factor_height", "the factor of the height", factors, default: one),
            .constant("scale_factor_width", "the factor of the width", factors, default: one),
        ]
        return Op(name, .image, words, parameters + more) { call in
            let x = try call.type("x", rank: 3...Int.max)
            let sizes = try zip(x.shape.suffix(2), ["scale_factor_height", "scale_factor_width"]).map { size, factor in
                try upsampled(size, by: call.constant(factor), factor)
            }
            return [TensorType(x.dtype, x.shape.dropLast(2) + sizes)]
        }
    }

    private static func upsampled(_ size: Int, by factor: Tensor?, _ name: String) throws -> Int {
        guard let factor, factor.count == 1 else {
            throw Failure(.invalidArgument, "The parameter '\(name)' must be one number.")
        }
        // The product is rounded to fp32, as Core ML's tools round it.
        let product = Float(factor.double(at: 0)) * Float(size)
        guard product >= 1, product < Float(TensorType.largestByteCount) else {
            throw Failure(
                .outOfRange,
                "The parameter '\(name)' makes \(size) pixels \(product); it must leave at least one, and no more than fit a tensor."
            )
        }
        return Int(product)
    }

    private static func resized(_ call: Call, _ height: String, _ width: String) throws -> [TensorType] {
        let x = try call.type("x", rank: 3...Int.max)
        let size = [try call.int(height, in: Call.positive), try call.int(width, in: Call.positive)]
        return [TensorType(x.dtype, x.shape.dropLast(2) + size)]
    }

    /// How resample and affine read an image between and beyond its pixels.
    private static let samplingParameters: [Op.Parameter] = [
        .text("sampling_mode", "bilinear or nearest"),
        .text("padding_mode", "what lies outside: constant, border, reflection or symmetric"),
        .constant("padding_value", "the value outside in the mode constant", .numbers),
        .text("coordinates_mode", "unnormalized, normalized_minus_one_to_one or normalized_zero_to_one"),
        .bool("align_corners", "normalized coordinates end at the centres of the corner pixels, not at their edges"),
    ]

    private static func checkSampling(_ call: Call) throws {
        _ = try call.text("sampling_mode", among: ["bilinear", "nearest"], anyCase: true)
        _ = try call.text("padding_mode", among: ["constant", "border", "reflection", "symmetric"], anyCase: true)
        _ = try call.text(
            "coordinates_mode", among: ["unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one"],
            anyCase: true)
    }
}

/// The shape that `resize` gives.
public func resizedShape(_ call: Call) throws -> [Int] {
    let shape = try call.type("x").shape
    let wanted = try call.ints("shape", in: Call.sizes)
    let count = try call.int("resized_dims", in: Call.sizes)
    guard wanted.count <= shape.count, count <= wanted.count else {
        throw Failure(
            .invalidArgument,
            "resized_dims is \(count) and shape has \(wanted.count) elements; they must not be more than each other and the rank, \(shape.count)."
        )
    }
    return shape.dropLast(count) + zip(shape.suffix(count), wanted.suffix(count)).map { $1 == 0 ? $0 : $1 }
}
