// Random numbers: each is a function of the seed and of its position, so that a seed always gives the same.
#ifndef MARTLET_RANDOM_H
#define MARTLET_RANDOM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Evenly spread from low up to high, which is left out, in steps of 2^-bits of the range; bits at most 24.
void mk_random_uniform(uint64_t seed, int bits, float low, float high, int64_t count, float *dst);

void mk_random_normal(uint64_t seed, float mean, float stddev, int64_t count, float *dst);

// The same in fp64, in steps of 2^-53 of the range.
void mk_random_uniform_wide(uint64_t seed, double low, double high, int64_t count, double *dst);
void mk_random_normal_wide(uint64_t seed, double mean, double stddev, int64_t count, double *dst);

// dst [rows, size]: positions along the last axis of weights [rows, categories], which are probabilities of any sum, or
// their logarithms with `logits`. A row whose weights are all 0 gives 0.
void mk_random_categorical(uint64_t seed, int logits, int64_t rows, int64_t categories, int64_t size,
                           const float *weights, float *dst);

#ifdef __cplusplus
}
#endif
#endif
