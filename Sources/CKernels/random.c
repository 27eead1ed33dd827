// Uniform, normal and categorical random numbers.
#include "include/random.h"

#include <math.h>

// The finalizer of SplitMix64: every bit of the result depends on every bit of the position.
static uint64_t mk_scramble(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t mk_random(uint64_t seed, int64_t position) {
    return mk_scramble(mk_scramble(seed + 0x9e3779b97f4a7c15u) + (uint64_t)position * 0x9e3779b97f4a7c15u);
}

void mk_random_uniform(uint64_t seed, int bits, float low, float high, int64_t count, float *dst) {
    float step = ldexpf(1, -bits), last = high > low ? nextafterf(high, low) : low;
    for (int64_t i = 0; i < count; i++) {
        float x = low + (float)(mk_random(seed, i) >> (64 - bits)) * step * (high - low);
        dst[i] = high > low && x > last ? last : x;
    }
}

void mk_random_normal(uint64_t seed, float mean, float stddev, int64_t count, float *dst) {
    for (int64_t i = 0; i < count; i += 2) {
        // Two numbers from a point in the plane: Box and Muller.
        uint64_t bits = mk_random(seed, i);
        double radius = sqrt(-2 * log(((double)(bits >> 32) + 0.5) * 0x1p-32));
        double angle = 6.283185307179586 * ((double)(bits & 0xffffffffu) * 0x1p-32);
        dst[i] = (float)(mean + stddev * radius * cos(angle));
        if (i + 1 < count) dst[i + 1] = (float)(mean + stddev * radius * sin(angle));
    }
}

void mk_random_uniform_wide(uint64_t seed, double low, double high, int64_t count, double *dst) {
    double last = high > low ? nextafter(high, low) : low;
    for (int64_t i = 0; i < count; i++) {
        double x = low + (double)(mk_random(seed, i) >> 11) * 0x1p-53 * (high - low);
        dst[i] = high > low && x > last ? last : x;
    }
}

void mk_random_normal_wide(uint64_t seed, double mean, double stddev, int64_t count, double *dst) {
    for (int64_t i = 0; i < count; i += 2) {
        double radius = sqrt(-2 * log(((double)(mk_random(seed, i) >> 11) + 0.5) * 0x1p-53));
        double angle = 6.283185307179586 * ((double)(mk_random(seed, i + 1) >> 11) * 0x1p-53);
        dst[i] = mean + stddev * radius * cos(angle);
        if (i + 1 < count) dst[i + 1] = mean + stddev * radius * sin(angle);
    }
}

void mk_random_categorical(uint64_t seed, int logits, int64_t rows, int64_t categories, int64_t size,
                           const float *weights, float *dst) {
    for (int64_t row = 0; row < rows; row++, weights += categories) {
        float greatest = weights[0];
        for (int64_t k = 1; k < categories; k++)
            if (weights[k] > greatest) greatest = weights[k];
        double total = 0;
        for (int64_t k = 0; k < categories; k++) total += logits ? exp((double)weights[k] - greatest) : weights[k];
        for (int64_t i = 0; i < size; i++) {
            double left = (double)(mk_random(seed, row * size + i) >> 11) * 0x1p-53 * total;
            int64_t found = 0;
            for (int64_t k = 0; k < categories; k++) {
                double weight = logits ? exp((double)weights[k] - greatest) : weights[k];
                if (!(weight > 0)) continue;
                found = k;
                left -= weight;
                if (left < 0) break;
            }
            dst[row * size + i] = (float)found;
        }
    }
}
