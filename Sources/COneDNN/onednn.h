// The C interface of oneDNN, as one header for the module map. Debian 12 has version 2.6, PyPI 3.2: what they do not
// write alike stands here under one signature each.
#include <dnnl.h>
#include <stdlib.h>

#if DNNL_VERSION_MAJOR < 3

// A layout was a plain struct; on the heap it is a handle as in 3.x.
typedef dnnl_memory_desc_t *onednn_layout;

static inline dnnl_status_t onednn_keep(onednn_layout *layout, dnnl_status_t status, const dnnl_memory_desc_t *made) {
    *layout = status == dnnl_success ? (onednn_layout)malloc(sizeof *made) : NULL;
    if (*layout) **layout = *made;
    return status == dnnl_success && !*layout ? dnnl_out_of_memory : status;
}

static inline dnnl_status_t onednn_layout_strided(
    onednn_layout *layout, int rank, const int64_t *shape, dnnl_data_type_t type, const int64_t *strides) {
    dnnl_memory_desc_t made;
    return onednn_keep(layout, dnnl_memory_desc_init_by_strides(&made, rank, shape, type, strides), &made);
}

static inline dnnl_status_t onednn_layout_any(
    onednn_layout *layout, int rank, const int64_t *shape, dnnl_data_type_t type) {
    dnnl_memory_desc_t made;
    return onednn_keep(layout, dnnl_memory_desc_init_by_tag(&made, rank, shape, type, dnnl_format_tag_any), &made);
}

static inline dnnl_status_t onednn_layout_query(
    onednn_layout *layout, const_dnnl_primitive_desc_t description, dnnl_query_t which) {
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(description, which, 0);
    return onednn_keep(layout, found ? dnnl_success : dnnl_invalid_arguments, found);
}

static inline void onednn_layout_destroy(onednn_layout layout) { free(layout); }

static inline dnnl_status_t onednn_append_eltwise(dnnl_post_ops_t post, dnnl_alg_kind_t kind, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(post, 1, kind, alpha, beta);
}

// An operation was described first and got its engine and attributes afterwards.
static inline dnnl_status_t onednn_matmul(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, onednn_layout source, onednn_layout weights, onednn_layout bias,
    onednn_layout target, const_dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t operation;
    dnnl_status_t status = dnnl_matmul_desc_init(&operation, source, weights, bias, target);
    return status == dnnl_success ? dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL) : status;
}

static inline dnnl_status_t onednn_convolution(
    dnnl_primitive_desc_t *made, dnnl_engine_t engine, onednn_layout source, onednn_layout weights, onednn_layout bias,
    onednn_layout target, const int64_t *strides, const int64_t *dilations, const int64_t *before, const int64_t *after,
    const_dnnl_primitive_attr_t attributes) {
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &operation, dnnl_forward_inference, dnnl_convolution_direct, source, weights, bias, target, strides, dilations,
        before, after);
    return status == dnnl_success ? dnnl_primitive_desc_create(made, &operation, attributes, engine, NULL) : status;
}

#else

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

#endif
