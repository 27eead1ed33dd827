import MIL

/// Which element types the parameters of Core ML's ops take, as the op definitions of its converter list them for iOS 18.
/// An op that is not named takes fp16 and fp32.
enum CoreMLTypes {
    static let floats: Set<DataType> = [.float16, .float32]
    static let numbers = floats.union([.int32])
    static let basic = numbers.union([.bool])
    /// Integers of up to 16 bits are moved, never computed with.
    static let moved = basic.union(small)
    static let indices = small.union([.int32])
    static let bytes: Set<DataType> = [.int8, .uint8]
    private static let small: Set<DataType> = [.int8, .uint8, .int16, .uint16]
    private static let signed: Set<DataType> = [.int8, .int16, .int32]

    /// What the tensors of an op may be.
    private static let byOp: [String: Set<DataType>] = table([
        (
            numbers,
            """
            abs add argsort cumsum equal exp2 floor_div greater greater_equal less less_equal linear matmul maximum minimum \
            mod mul not_equal pow range_1d real_div reduce_argmax reduce_argmin reduce_l1_norm reduce_l2_norm reduce_log_sum \
            reduce_log_sum_exp reduce_max reduce_mean reduce_min reduce_prod reduce_sum reduce_sum_square resize scatter \
            scatter_along_axis scatter_nd sign square sub threshold
            """
        ),
        (basic, "band_part concat fill fill_like flatten2d identity non_zero one_hot select shape split stack tile"),
        (
            moved,
            """
            cast expand_dims reshape reshape_like reverse reverse_sequence slice_by_index slice_by_size slice_update \
            sliding_windows squeeze transpose
            """
        ),
        (moved.subtracting([.bool]), "gather gather_along_axis gather_nd topk"),
        ([.bool], "logical_and logical_not logical_or logical_xor"),
        (bytes, "constexpr_affine_dequantize constexpr_blockwise_shift_scale"),
        (floats.union(bytes), "constexpr_lut_to_dense"),
    ])

    /// Parameters that differ from the others of their op.
    private static let byParameter: [String: Set<DataType>] = table([
        (indices, "gather.indices gather_along_axis.indices gather_nd.indices"),
        (
            [.int32],
            """
            fill.shape one_hot.indices one_hot.one_hot_vector_size pad.pad random_bernoulli.shape random_normal.shape \
            random_uniform.shape scatter.indices scatter_along_axis.indices scatter_nd.indices tile.reps
            """
        ),
        (
            signed,
            """
            reshape.shape reverse_sequence.lengths slice_by_index.begin slice_by_index.end slice_by_index.stride \
            slice_by_size.begin slice_by_size.size slice_update.begin slice_update.end slice_update.stride topk.k
            """
        ),
        ([.bool], "select.cond"),
        ([.uint8], "constexpr_lut_to_dense.indices"),
        (bytes, "dequantize.input dequantize.zero_point quantize.zero_point"),
        (
            floats,
            """
            constexpr_affine_dequantize.scale constexpr_blockwise_shift_scale.scale dequantize.scale
            """
        ),
        (floats.union(indices), "resample.coordinates"),
        (floats.union([.uint16]), "crop_resize.boxes"),
        ([.int32, .uint16], "crop_resize.box_indices"),
        (floats.union([.bool]), "scaled_dot_product_attention.attn_mask"),
        ([.uint32], "resize.resized_dims pixel_unshuffle.downscale_factor"),
    ])

    /// Numbers that are fp32 whatever the others are.
    static let alwaysSingle: Set<String> = [
        "crop_resize.spatial_scale", "upsample_bilinear.scale_factor_height", "upsample_bilinear.scale_factor_width",
        "upsample_nearest_neighbor.scale_factor_height", "upsample_nearest_neighbor.scale_factor_width",
    ]

    static func allowed(_ op: String, _ parameter: String) -> Set<DataType> {
        byParameter["\(op).\(parameter)"] ?? byOp[op] ?? floats
    }

    /// The types that a parameter of integers may have, apart from its op's tensors; nil if it is one of the tensors.
    static func wholeNumbers(_ op: String, _ parameter: Op.Parameter) -> Set<DataType>? {
        byParameter["\(op).\(parameter.name)"] ?? (parameter.isConstant ? [.int32] : nil)
    }

    private static func table(_ rows: [(Set<DataType>, String)]) -> [String: Set<DataType>] {
        rows.reduce(into: [:]) { table, row in
            for name in row.1.split(whereSeparator: { $0 == " " || $0 == "\n" }) { table[String(name)] = row.0 }
        }
    }
}
