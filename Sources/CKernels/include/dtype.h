// Element types of the kernels.
#ifndef MARTLET_DTYPE_H
#define MARTLET_DTYPE_H

typedef enum mk_dtype {
    MK_FP32, MK_FP16, MK_INT32, MK_BOOL, MK_INT8, MK_UINT8, MK_INT16, MK_UINT16,
} mk_dtype;

#endif
