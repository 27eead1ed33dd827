// Positions as tensors hold them: 2 bytes without sign, 4 or 8 with.
#ifndef MARTLET_INDEX_H
#define MARTLET_INDEX_H

#include <stdint.h>

static inline void mk_store_index(void *dst, int size, int64_t i, int64_t value) {
    if (size == 8) ((int64_t *)dst)[i] = value;
    else if (size == 4) ((int32_t *)dst)[i] = (int32_t)value;
    else ((uint16_t *)dst)[i] = (uint16_t)value;
}

#endif
