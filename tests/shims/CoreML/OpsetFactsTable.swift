/// What Core ML's converter says of the ops: which opset has which, with which parameters of which element types. Facts
/// read from the op registry of coremltools 9.0. A line is an op, the opset's rank from which it holds (0 is CoreML5),
/// and its parameters: name, types, `?` where it may be left out, `!` where it must be constant, `=X` where all
/// parameters with that letter share one type. `*` is any type.
let opsetFactsTable = """
    abs 0 x:hfi=T
    acos 0 x:hf=T
    add 0 x:hfi=T y:hfi=T
    affine 0 x:hf=T transform_matrix:hf=T output_height:i! output_width:i! sampling_mode:t! padding_mode:t! padding_value:hf!=T coordinates_mode:t! align_corners:b!
    argsort 0 x:hfi=T axis:i?! ascending:b?!
    asin 0 x:hf=T
    atan 0 x:hf=T
    atanh 0 x:hf=T
    avg_pool 0 exclude_padding_from_average:b?! x:hf=T kernel_sizes:i! strides:i?! pad_type:t! pad:i?! ceil_mode:b?!
    band_part 0 x:bhfi=T lower:i?! upper:i?!
    batch_norm 0 x:hf=T mean:hf!=T variance:hf!=T gamma:hf?!=T beta:hf?!=T epsilon:hf?!=T
    batch_norm 2 x:hf=T mean:hf!=U variance:hf!=U gamma:hf?!=U beta:hf?!=U epsilon:hf?!=U
    batch_to_space 0 x:hf=T block_shape:i! crops:i!
    cast 0 x:bhfi=T dtype:t!
    cast 2 x:bhfsicSC=T dtype:t!
    ceil 0 x:hf=T
    clamped_relu 0 x:hf=T alpha:hf!=T beta:hf!=T
    clamped_relu 2 x:hf=T alpha:hf!=U beta:hf!=U
    classify 0 probabilities:f classes:*!
    clip 0 x:hf=T alpha:hf!=T beta:hf!=T
    clip 2 x:hf=T alpha:hf!=T beta:hf!=T
    concat 0 values:* axis:i! interleave:b?!
    cond 0 pred:b
    constexpr_affine_dequantize 1 quantized_data:cC!=SrcT zero_point:fcC!=ZeroPointT scale:hf!=DstT axis:i!
    constexpr_blockwise_shift_scale 3 data:hfncNC!=SrcT scale:hf!=DstT offset:hfncNC?!=OffsetT
    constexpr_cast 1 source_val:h! output_dtype:t!
    constexpr_cast 3 source_val:h! output_dtype:t!
    constexpr_lut_to_dense 1 indices:C! lut:hfcC!=T shape:I!
    constexpr_lut_to_dense 3 indices:123N6C!=IndicesT lut:hfcC!=T vector_axis:i?!
    constexpr_lut_to_sparse 3 indices_mask:1! indices_nonzero_data:123N6C!=IndicesT lut:hfcC!=T vector_axis:i?!
    constexpr_sparse_blockwise_shift_scale 3 data_mask:1! nonzero_data:hfncNC!=SrcT scale:hf!=DstT offset:hfncNC?!=OffsetT
    constexpr_sparse_to_dense 1 nonzero_data:hfcC!=T mask:C! shape:I!
    constexpr_sparse_to_dense 3 nonzero_data:hfncNC!=T mask:1!
    conv 0 x:hf=T weight:hf=T bias:hf?!=T strides:i?! pad_type:t?! pad:i?! dilations:i?! groups:i?!
    conv 2 x:hf=T weight:hf=U bias:hf?=U strides:i?! pad_type:t?! pad:i?! dilations:i?! groups:i?!
    conv_quantized 0 x:hf=T weight:C=U bias:C?!=U quantization_type:t! nbits:i?! quant_scale:hf!=T quant_bias:hf!=T strides:i?! pad_type:t?! pad:i?! dilations:i?! groups:i?!
    conv_transpose 0 x:hf=T weight:hf!=T bias:hf?!=T pad:i?! output_shape:i?! pad_type:t?! strides:i?! dilations:i?! groups:i?!
    conv_transpose 2 x:hf=T weight:hf=U bias:hf?=U pad:i?! output_shape:i?! pad_type:t?! strides:i?! dilations:i?! groups:i?!
    cos 0 x:hf=T
    cosh 0 x:hf=T
    crop 0 x:hf=T crop_height:i! crop_width:i!
    crop_resize 0 x:hf=T roi:hf=T target_height:i?! target_width:i?! normalized_coordinates:b?! spatial_scale:f?! box_coordinate_mode:t?! sampling_mode:t?!
    crop_resize 1 x:hf=T roi:hf=T target_height:i?! target_width:i?! normalized_coordinates:b?! spatial_scale:f?! box_coordinate_mode:t?! sampling_mode:t?! pad_value:hf?!=T
    crop_resize 2 x:hf=T boxes:hfS=BOX_T box_indices:iS?=BOX_INDEX_T target_height:i?! target_width:i?! normalized_coordinates:b?! spatial_scale:f?! box_coordinate_mode:t?! sampling_mode:t?! pad_value:hf?!=T
    cumsum 0 x:hfi=T axis:i?! exclusive:b?! reverse:b?!
    depth_to_space 0 x:hf=T block_size:i!
    dequantize 2 input:cC=SrcT zero_point:cC?!=SrcT scale:hf!=DstT axis:i?!
    einsum 0 values:* equation:t!
    elu 0 x:hf=T alpha:hf!=T
    elu 2 x:hf=T alpha:hf!=U
    equal 0 x:hfi=T y:hfi=T
    erf 0 x:hf=T
    exp 0 x:hf=T
    exp2 0 x:hfi=T
    expand_dims 0 x:bhfi=T axes:i!
    expand_dims 2 x:bhfsicSC=T axes:i!
    fill 0 shape:i value:bhfi?!=T
    fill_like 1 ref_tensor:bhfi=T value:bhfi?!=U
    flatten2d 0 x:bhfi=T axis:i?!
    floor 0 x:hf=T
    floor_div 0 x:hfi=T y:hfi=T
    gather 0 x:hfi=T indices:i axis:i?!
    gather 1 x:hfi=T indices:siS=I axis:i?! batch_dims:i?!
    gather 2 x:hfsicSC=T indices:sicSC=I axis:i?! batch_dims:i?! validate_indices:b?!
    gather_along_axis 0 x:hfi=T indices:i axis:i?!
    gather_along_axis 1 x:hfi=T indices:siS=I axis:i?!
    gather_along_axis 2 x:hfsicSC=T indices:sicSC=I axis:i?! validate_indices:b?!
    gather_nd 0 x:hfi=T indices:i
    gather_nd 1 x:hfi=T indices:siS=I batch_dims:i?!
    gather_nd 2 x:hfsicSC=T indices:sicSC=I batch_dims:i?! validate_indices:b?!
    gelu 0 x:hf=T mode:t?!
    greater 0 x:hfi=T y:hfi=T
    greater_equal 0 x:hfi=T y:hfi=T
    gru 0 x:f=T initial_h:f=T weight_ih:f!=T weight_hh:f!=T bias:f?!=T direction:t?! output_sequence:b?! recurrent_activation:t?! activation:t?!
    gru 2 x:hf=T initial_h:hf=T weight_ih:hf!=T weight_hh:hf!=T bias:hf?!=T direction:t?! output_sequence:b?! recurrent_activation:t?! activation:t?!
    gru 3 x:hf=T initial_h:hf=T weight_ih:hf!=T weight_hh:hf!=T bias:hf?!=T direction:t?! output_sequence:b?! recurrent_activation:t?! activation:t?! reset_after:b?! input_bias:hf?!=T
    identity 0 x:*
    instance_norm 0 x:hf=T gamma:hf?!=T beta:hf?!=T epsilon:hf?!=T
    instance_norm 2 x:hf=T gamma:hf?!=U beta:hf?!=U epsilon:hf?!=U
    inverse 0 x:hf=T epsilon:hf?!=T
    inverse 2 x:hf=T epsilon:hf?!=U
    l2_norm 0 x:hf=T epsilon:hf?!=T
    l2_norm 2 x:hf=T epsilon:hf?!=U
    l2_pool 0 x:hf=T kernel_sizes:i! strides:i?! pad_type:t! pad:i?! ceil_mode:b?!
    layer_norm 0 x:hf=T axes:i?! gamma:hf?!=T beta:hf?!=T epsilon:hf?!=T
    layer_norm 2 x:hf=T axes:i?! gamma:hf?!=U beta:hf?!=U epsilon:hf?!=U
    leaky_relu 0 x:hf=T alpha:hf!=T
    leaky_relu 2 x:hf=T alpha:hf!=U
    less 0 x:hfi=T y:hfi=T
    less_equal 0 x:hfi=T y:hfi=T
    linear 0 x:hfi=T weight:hfi!=T bias:hfi?!=T
    linear 2 x:hfi=T weight:hfi!=U bias:hfi?!=U
    linear_activation 0 x:hf=T alpha:hf!=T beta:hf!=T
    linear_activation 2 x:hf=T alpha:hf!=U beta:hf!=U
    list_gather 0 ls:* indices:i
    list_length 0 ls:*
    list_read 0 ls:* index:i
    list_scatter 0 ls:* indices:i value:bhfi=T
    list_write 0 ls:* index:i value:bhfi=T
    local_response_norm 0 x:hf=T size:i! alpha:hf?!=T beta:hf?!=T k:hf?!=T
    local_response_norm 2 x:hf=T size:i! alpha:hf?!=U beta:hf?!=U k:hf?!=U
    log 0 x:hf=T epsilon:hf?!=T
    log 2 x:hf=T epsilon:hf?!=U
    logical_and 0 x:b=T y:b=T
    logical_not 0 x:b
    logical_or 0 x:b=T y:b=T
    logical_xor 0 x:b=T y:b=T
    lstm 0 x:f=T initial_h:f=T initial_c:f=T weight_ih:f!=T weight_hh:f!=T bias:f?!=T peephole:f?!=T weight_ih_back:f?!=T weight_hh_back:f?!=T bias_back:f?!=T peephole_back:f?!=T direction:t?! output_sequence:b?! recurrent_activation:t?! cell_activation:t?! activation:t?! clip:f?!=T
    lstm 2 x:hf=T initial_h:hf=T initial_c:hf=T weight_ih:hf!=T weight_hh:hf!=T bias:hf?!=T peephole:hf?!=T weight_ih_back:hf?!=T weight_hh_back:hf?!=T bias_back:hf?!=T peephole_back:hf?!=T direction:t?! output_sequence:b?! recurrent_activation:t?! cell_activation:t?! activation:t?! clip:hf?!=T
    make_list 0 init_length:i? dynamic_length:b?! elem_shape:* dtype:t?!
    matmul 0 x:hfi=T y:hfi=T transpose_x:b?! transpose_y:b?!
    matmul 2 x:hfi=T y:hfi=U transpose_x:b?! transpose_y:b?!
    max_pool 0 x:hf=T kernel_sizes:i! strides:i?! pad_type:t! pad:i?! ceil_mode:b?!
    maximum 0 x:hfi=T y:hfi=T
    minimum 0 x:hfi=T y:hfi=T
    mod 0 x:hfi=T y:hfi=T
    mul 0 x:hfi=T y:hfi=T
    non_maximum_suppression 0 boxes:hf=T scores:hf=T iou_threshold:hf!=T score_threshold:hf!=T max_boxes:i! per_class_suppression:b?!
    non_maximum_suppression 2 boxes:hf=T scores:hf=T iou_threshold:hf!=T max_boxes:i! per_class_suppression:b?!
    non_zero 0 x:bhfi=T
    not_equal 0 x:hfi=T y:hfi=T
    one_hot 0 indices:i one_hot_vector_size:i axis:i?! on_value:bhfi?!=T off_value:bhfi?!=T
    pad 0 x:hf=T pad:i mode:t?! constant_val:hf?!=T
    pixel_shuffle 0 x:hf=T upscale_factor:i!
    pixel_unshuffle 1 x:hf=T downscale_factor:I!
    pow 0 x:hfi=T y:hfi=T
    prelu 0 x:hf=T alpha:hf!=T
    prelu 2 x:hf=T alpha:hf!=U
    quantize 2 input:hf=SrcT zero_point:cC?!=DstT scale:hf!=SrcT axis:i?! output_dtype:t!
    random_bernoulli 0 shape:i prob:hf?!=T seed:i?!
    random_categorical 0 x:hf=T mode:t?! size:i?! seed:i?!
    random_normal 0 shape:i mean:hf?!=T stddev:hf?!=T seed:i?!
    random_uniform 0 shape:i low:hf?!=T high:hf?!=T seed:i?!
    range_1d 0 end:hfi=T start:hfi=T step:hfi=T
    read_state 3 input:*
    real_div 0 x:hfi=T y:hfi=T
    reduce_argmax 0 x:hfi=T axis:i?! keep_dims:b?!
    reduce_argmax 2 x:hfi=T axis:i?! keep_dims:b?! output_dtype:t?!
    reduce_argmin 0 x:hfi=T axis:i?! keep_dims:b?!
    reduce_argmin 2 x:hfi=T axis:i?! keep_dims:b?! output_dtype:t?!
    reduce_l1_norm 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_l2_norm 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_log_sum 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_log_sum_exp 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_max 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_mean 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_min 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_prod 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_sum 0 x:hfi=T axes:i?! keep_dims:b?!
    reduce_sum_square 0 x:hfi=T axes:i?! keep_dims:b?!
    relu 0 x:hf=T
    relu6 0 x:hf=T
    resample 0 x:hf=T coordinates:fi=U sampling_mode:t! padding_mode:t! padding_value:hf!=T coordinates_mode:t! align_corners:b!
    resample 1 x:hf=T coordinates:hfi=U sampling_mode:t! padding_mode:t! padding_value:hf!=T coordinates_mode:t! align_corners:b!
    resample 2 x:hf=T coordinates:hfsicSC=U sampling_mode:t! padding_mode:t! padding_value:hf!=T coordinates_mode:t! align_corners:b!
    reshape 0 x:bhfi=T shape:i
    reshape 2 x:bhfsicSC=T shape:sic=U
    reshape_like 1 x:bhfi=T ref_tensors:* begins:* ends:* end_masks:*
    reshape_like 2 x:bhfsicSC=T ref_tensors:* begins:* ends:* end_masks:*
    resize 2 x:hfi=T shape:siSI=U resized_dims:I! interpolation_mode:t?! sampling_mode:t?!
    resize_bilinear 0 x:hf=T target_size_height:i?! target_size_width:i?! sampling_mode:t?!
    resize_nearest_neighbor 0 x:hf=T target_size_height:i! target_size_width:i!
    reverse 0 x:bhfi=T axes:i?!
    reverse 2 x:bhfsicSC=T axes:i?!
    reverse_sequence 0 x:bhfi=T lengths:i seq_axis:i?! batch_axis:i?!
    reverse_sequence 2 x:bhfsicSC=T lengths:sic=U seq_axis:i?! batch_axis:i?!
    rnn 0 x:f=T initial_h:f=T weight_ih:f!=T weight_hh:f!=T bias:f?!=T direction:t?! output_sequence:b?! activation:t?!
    rnn 2 x:hf=T initial_h:hf=T weight_ih:hf!=T weight_hh:hf!=T bias:hf?!=T direction:t?! output_sequence:b?! activation:t?!
    round 0 x:hf=T
    rsqrt 0 x:hf=T epsilon:hf?!=T
    rsqrt 2 x:hf=T epsilon:hf?!=U
    scaled_dot_product_attention 3 query:hf=T key:hf=T value:hf=T attn_mask:bhf?=M
    scaled_tanh 0 x:hf=T alpha:hf!=T beta:hf!=T
    scaled_tanh 2 x:hf=T alpha:hf!=U beta:hf!=U
    scatter 0 data:hfi=T indices:i updates:hfi=T axis:i?! mode:t?!
    scatter 2 data:hfi=T indices:i updates:hfi=T axis:i?! mode:t?! validate_indices:b?!
    scatter_along_axis 0 data:hfi=T indices:i updates:hfi=T axis:i?! mode:t?!
    scatter_along_axis 2 data:hfi=T indices:i updates:hfi=T axis:i?! mode:t?! validate_indices:b?!
    scatter_nd 0 data:hfi=T indices:i updates:hfi=T mode:t?!
    scatter_nd 2 data:hfi=T indices:i updates:hfi=T mode:t?! validate_indices:b?!
    select 0 cond:b a:bhfi=T b:bhfi=T
    shape 0 x:bhfi=T
    sigmoid 0 x:hf=T
    sigmoid_hard 0 x:hf=T alpha:hf!=T beta:hf!=T
    sigmoid_hard 2 x:hf=T alpha:hf!=U beta:hf!=U
    sign 0 x:hfi=T
    silu 0 x:hf=T
    sin 0 x:hf=T
    sinh 0 x:hf=T
    slice_by_index 0 x:bhfi=T begin:i end:i stride:i?! begin_mask:b?! end_mask:b?! squeeze_mask:b?!
    slice_by_index 2 x:bhfsicSC=T begin:sic=U end:sic=U stride:sic?!=U begin_mask:b?! end_mask:b?! squeeze_mask:b?!
    slice_by_size 0 x:bhfi=T begin:i size:i
    slice_by_size 2 x:bhfsicSC=T begin:sic=U size:sic=U
    slice_update 3 x:bhfsicSC=T update:bhfsicSC=T begin:sic=U end:sic=U stride:sic?!=U begin_mask:b?! end_mask:b?! squeeze_mask:b?!
    sliding_windows 0 x:hfi=T axis:i! size:i! stride:i?!
    sliding_windows 2 x:bhfsicSC=T axis:i! size:i! stride:i?!
    softmax 0 x:hf=T axis:i?!
    softplus 0 x:hf=T
    softplus_parametric 0 x:hf=T alpha:hf!=T beta:hf!=T
    softplus_parametric 2 x:hf=T alpha:hf!=U beta:hf!=U
    softsign 0 x:hf=T
    space_to_batch 0 x:hf=T block_shape:i! paddings:i!
    space_to_depth 0 x:hf=T block_size:i!
    split 0 x:bhfi=T num_splits:i?! split_sizes:i?! axis:i!
    sqrt 0 x:hf=T
    square 0 x:hfi=T
    squeeze 0 x:bhfi=T axes:i?!
    squeeze 2 x:bhfsicSC=T axes:i?!
    stack 0 values:* axis:i!
    sub 0 x:hfi=T y:hfi=T
    tan 0 x:hf=T
    tanh 0 x:hf=T
    threshold 0 x:hfi=T alpha:hfi!=T
    thresholded_relu 0 x:hf=T alpha:hf!=T
    thresholded_relu 2 x:hf=T alpha:hf!=U
    tile 0 x:bhfi=T reps:i
    topk 0 x:hfi=T k:i?! axis:i?! ascending:b?!
    topk 1 x:hfi=T k:i?! axis:i?! ascending:b?! sort:b?! return_indices:b?!
    topk 2 x:hfsicSC=T k:sic?!=K axis:i?! ascending:b?! sort:b?! return_indices:b?! output_indices_dtype:t?!
    transpose 0 x:bhfi=T perm:i!
    transpose 2 x:bhfsicSC=T perm:i!
    upsample_bilinear 0 x:hf=T scale_factor_height:fi?!=U scale_factor_width:fi?!=U align_corners:b?!
    upsample_bilinear 1 x:hf=T scale_factor_height:fi?!=U scale_factor_width:fi?!=U align_corners:b?! half_pixel_centers:b?!
    upsample_nearest_neighbor 0 x:hf=T scale_factor_height:fi?!=U scale_factor_width:fi?!=U
    while_loop 0 loop_vars:*
    """
