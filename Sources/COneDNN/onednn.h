// The C interface of oneDNN 3 as one header for the module map, with short names for what this engine calls.
#include <dnnl.h>

// Sets the functions on which oneDNN's parallel regions run: an `mk_tbb` of CKernels. See mk_tbb.c.
void mk_tbb_connect(const void *functions);

typedef dnnl_memory_desc_t onednn_layout;

static inline dnnl_status_t onednn_layout_strided(
    onednn_layout *layout, int rank, const int64_t *shape, dnnl_data_type_t type, const int64_t *strides) {
    return dnnl_memory_desc_create_with_strides(layout, rank, shape, type, strides);
}

static inline dnnl_status_t onednn_layout_any(
    onednn_layout *layout, int rank, const int64_t *shape, dnnl_data_type_t type) {
    return dnnl_memory_desc_create_with_tag(layout, rank, shape, type, dnnl_format_tag_any);
}

static inline dnnl_status_t onednn_layout_query(
    onednn_layout *layout, const_dnnl_primitive_desc_t description, dnnl_query_t which) {
    return dnnl_memory_desc_clone(layout, dnnl_primitive_desc_query_md(description, which, 0));
}

static inline void onednn_layout_destroy(onednn_layout layout) { dnnl_memory_desc_destroy(layout); }

static inline dnnl_status_t onednn_append_eltwise(dnnl_post_ops_t post, dnnl_alg_kind_t kind, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(post, kind, alpha, beta);
}

static inline dnnl_status_t onednn_matmul(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, onednn_layout source, onednn_layout weights, onednn_layout bias,
    onednn_layout target, const_dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(made, engine, source, weights, bias, target, attributes);
}

static inline dnnl_status_t onednn_convolution(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, onednn_layout source, onednn_layout weights, onednn_layout bias,
    onednn_layout target, const int64_t *strides, const int64_t *dilations, const int64_t *before, const int64_t *after,
    const_dnnl_primitive_attr_t attributes) {
    return dnnl_convolution_forward_primitive_desc_create(
        made, engine, dnnl_forward_inference, dnnl_convolution_direct, source, weights, bias, target, strides,
        dilations, before, after, attributes);
}

