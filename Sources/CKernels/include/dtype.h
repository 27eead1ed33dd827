// Element types of the kernels.
#ifndef MARTLET_DTYPE_H
#define MARTLET_DTYPE_H

typedef enum mk_dtype {
    MK_FP32, MK_FP16, MK_INT32, MK_BOOL, MK_INT8, MK_UINT8, MK_INT16, MK_UINT16,
    // Types without lanes in the tapes.
    MK_UINT32, MK_INT64, MK_UINT64, MK_FP64, MK_COMPLEX64, MK_COMPLEX128,
    MK_DTYPES
} mk_dtype;

#endif
