// Softmax and the norms, fp32. Means and variances take two passes. dst may be src.
#ifndef MARTLET_NORMALIZATION_H
#define MARTLET_NORMALIZATION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Softmax along the axis of [outer, axis, inner]; the second gives its logarithm.
void mk_softmax(int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst);
void mk_log_softmax(int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst);

// Each row of src [rows, n], plus residual [rows, n] where given, normalised: (x - mean) / sqrt(variance + epsilon)
// * gamma[n] + beta[n]. residual, gamma, beta and sum may be null; sum [rows, n] takes src + residual.
void mk_layer_norm(int64_t rows, int64_t n, const float *src, const float *residual, const float *gamma,
                   const float *beta, float epsilon, float *dst, float *sum);

// src [batch, spatial, channels]: each channel of each batch normalised over the spatial axis. gamma and beta
// [channels] may be null.
void mk_instance_norm(int64_t batch, int64_t spatial, int64_t channels, const float *src, const float *gamma,
                      const float *beta, float epsilon, float *dst);

// Each row of src [rows, n] divided by sqrt(sum of squares + epsilon).
void mk_l2_norm(int64_t rows, int64_t n, const float *src, float epsilon, float *dst);

// src [rows, channels]: x / (k + alpha / size * sum of squares over `size` neighbouring channels)^beta. dst is not src.
void mk_local_response_norm(int64_t rows, int64_t channels, const float *src, int64_t size, float alpha, float beta,
                            float k, float *dst);

#ifdef __cplusplus
}
#endif
#endif
