"""Compression: weights stored in few bits, and values quantized on the way."""

import numpy as np

from tests.cases import constant, normal, one, positive, program, whole

INT8, UINT8 = np.int8, np.uint8


def spread(values, axis, rank):
    """A list as a tensor that meets one axis."""
    values = np.asarray(values, np.float64)
    return values.reshape([-1 if index == axis % rank else 1 for index in range(rank)]) if values.ndim else values


def blocks(values, shape):
    """Each value for all elements of its block."""
    for axis, size in enumerate(shape):
        values = np.repeat(values, size // values.shape[axis], axis)
    return values


def packed(numbers, bits):
    """Numbers in `bits` bits each, the lowest bits of the first byte first."""
    digits = (np.asarray(numbers, UINT8).ravel()[:, None] >> np.arange(bits)) & 1
    return np.packbits(digits.ravel().astype(UINT8), bitorder="little")


def affine_dequantize(quantized_data, zero_point, scale, axis):
    rank = quantized_data.ndim
    return spread(scale, axis, rank) * (quantized_data.astype(np.float64) - spread(zero_point, axis, rank))


def blockwise(data, scale, offset=None):
    shifted = data.astype(np.float64) - (0 if offset is None else blocks(offset.astype(np.float64), data.shape))
    return blocks(scale, data.shape) * shifted


def lut_to_dense(indices, lut, vector_axis=None):
    vector = lut.shape[-1]
    tables = lut.reshape(*lut.shape[:-2], -1)
    entries = blocks(tables, (*indices.shape, tables.shape[-1])).reshape(*indices.shape, *lut.shape[-2:])
    rows = np.take_along_axis(entries, indices[..., None, None].astype(int), axis=-2)[..., 0, :]
    if vector == 1:
        return rows[..., 0]
    axis = vector_axis % indices.ndim
    shape = [size * (vector if index == axis else 1) for index, size in enumerate(indices.shape)]
    return np.moveaxis(rows, -1, axis + 1).reshape(shape)


def sparse_to_dense(nonzero_data, mask):
    result = np.zeros(mask.shape, nonzero_data.dtype)
    result[mask] = nonzero_data
    return result


def lut_to_sparse(indices_mask, indices_nonzero_data, lut, vector_axis=None):
    dense = lut_to_dense(sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    mask = indices_mask if vector_axis is None else np.repeat(indices_mask, lut.shape[-1], vector_axis)
    return mask, dense[mask]


def sparse_blockwise(data_mask, nonzero_data, scale, offset=None):
    return data_mask, blockwise(sparse_to_dense(nonzero_data, data_mask), scale, offset)[data_mask]


def quantize(input, scale, zero_point=0, axis=0, output_dtype="int8"):
    limits = np.iinfo(output_dtype)
    levels = np.rint(input / spread(scale, axis, input.ndim)) + spread(zero_point, axis, input.ndim)
    return levels.clip(limits.min, limits.max).astype(output_dtype)


def dequantize(input, scale, zero_point=0, axis=0):
    return spread(scale, axis, input.ndim) * (input.astype(np.float64) - spread(zero_point, axis, input.ndim))


def bytes_of(*shape, low=0, high=255, dtype=UINT8):
    return whole(*shape, low=low, high=high).astype(dtype)


def exact(*shape, seed=0):
    """Numbers that fp16 holds exactly."""
    return (whole(*shape, seed=seed, low=-63, high=63) / 16).astype(np.float32)


MASK = np.random.default_rng(3).random((4, 6)) < 0.4
STORED = int(MASK.sum())


def dense_after(body):
    """Sparse results as one dense tensor, and their mask."""
    return f"mask_after, v = {body}; y = constexpr_sparse_to_dense(nonzero_data = v, mask = mask_after);"


CASES = [
    *one(
        "constexpr_affine_dequantize",
        affine_dequantize,
        quantized_data=constant(bytes_of(3, 5, low=-128, high=127, dtype=INT8)),
        zero_point=constant(np.array([3, -2, 0], INT8)),
        scale=constant(positive(3)),
        axis=0,
    ),
    *one(
        "constexpr_affine_dequantize",
        affine_dequantize,
        quantized_data=constant(bytes_of(2, 3, 4)),
        zero_point=constant(np.array(128, UINT8)),
        scale=constant(np.array(0.25)),
        axis=-1,
    ),
    *one(
        "constexpr_blockwise_shift_scale",
        blockwise,
        data=constant(bytes_of(4, 6, low=-128, high=127, dtype=INT8)),
        scale=constant(positive(2, 1)),
    ),
    *one(
        "constexpr_blockwise_shift_scale",
        blockwise,
        data=constant(bytes_of(2, 6, 4)),
        scale=constant(positive(1, 3, 2)),
        offset=constant(bytes_of(1, 3, 2)),
        half=1e-2,
    ),
    *one("constexpr_lut_to_dense", lut_to_dense, indices=constant(bytes_of(4, 6)), lut=constant(exact(1, 1, 256, 1))),
    *one("constexpr_lut_to_dense", lut_to_dense, indices=constant(bytes_of(4, 6)), lut=constant(exact(2, 3, 256, 1))),
    *one(
        "constexpr_lut_to_dense",
        lut_to_dense,
        indices=constant(bytes_of(2, 3)),
        lut=constant(exact(1, 3, 256, 2)),
        vector_axis=0,
    ),
    *one(
        "constexpr_lut_to_dense",
        lut_to_dense,
        indices=constant(bytes_of(2, 2, 3)),
        lut=constant(exact(2, 1, 1, 256, 3)),
        vector_axis=-1,
    ),
    *one(
        "constexpr_lut_to_dense",
        lut_to_dense,
        indices=constant(bytes_of(3, 5)),
        lut=constant(bytes_of(1, 1, 256, 1, low=-128, high=127, dtype=INT8)),
    ),
    # Packed indices and masks come from older opsets only: uint8 among the outputs keeps the cases out of files.
    *[
        case
        for bits in (1, 2, 4, 6, 8)
        for case in one(
            "constexpr_lut_to_dense",
            lambda bits=bits, **_: bytes_of(2**bits)[whole(3, 7, low=0, high=2**bits - 1)],
            f"packed-{bits}",
            indices=constant(packed(whole(3, 7, low=0, high=2**bits - 1), bits)),
            lut=constant(bytes_of(2**bits)),
            shape=constant(np.array([3, 7], np.uint32)),
        )
    ],
    *one("constexpr_sparse_to_dense", sparse_to_dense, nonzero_data=constant(exact(STORED)), mask=constant(MASK)),
    *one(
        "constexpr_sparse_to_dense",
        sparse_to_dense,
        nonzero_data=constant(bytes_of(STORED, low=-9, high=9, dtype=INT8)),
        mask=constant(MASK),
    ),
    *one(
        "constexpr_sparse_to_dense",
        lambda nonzero_data, **_: sparse_to_dense(nonzero_data, MASK),
        "packed",
        nonzero_data=constant(bytes_of(STORED)),
        mask=constant(packed(MASK, 1)),
        shape=constant(np.array([4, 6], np.uint32)),
    ),
    *program(
        "constexpr_lut_to_sparse",
        dense_after("constexpr_lut_to_sparse(indices_mask = mask, indices_nonzero_data = indices, lut = lut)"),
        lambda mask, indices, lut: sparse_to_dense(lut_to_sparse(mask, indices, lut)[1], mask),
        mask=constant(MASK),
        indices=constant(bytes_of(STORED)),
        lut=constant(exact(2, 2, 256, 1)),
    ),
    *one(
        "constexpr_lut_to_sparse",
        lut_to_sparse,
        outputs=2,
        indices_mask=constant(MASK),
        indices_nonzero_data=constant(bytes_of(STORED)),
        lut=constant(exact(1, 2, 256, 3)),
        vector_axis=0,
    ),
    *one(
        "constexpr_lut_to_sparse",
        lut_to_sparse,
        outputs=2,
        indices_mask=constant(MASK),
        indices_nonzero_data=constant(bytes_of(STORED)),
        lut=constant(exact(2, 1, 256, 2)),
        vector_axis=-1,
    ),
    *program(
        "constexpr_sparse_blockwise_shift_scale",
        dense_after(
            "constexpr_sparse_blockwise_shift_scale(data_mask = mask, nonzero_data = data, scale = scale, "
            "offset = offset)"
        ),
        lambda mask, data, scale, offset: sparse_to_dense(sparse_blockwise(mask, data, scale, offset)[1], mask),
        mask=constant(MASK),
        data=constant(bytes_of(STORED, low=-128, high=127, dtype=INT8)),
        scale=constant(positive(2, 3)),
        offset=constant(bytes_of(2, 3, low=-9, high=9, dtype=INT8)),
        half=1e-2,
    ),
    *one(
        "constexpr_sparse_blockwise_shift_scale",
        sparse_blockwise,
        outputs=2,
        data_mask=constant(MASK),
        nonzero_data=constant(bytes_of(STORED)),
        scale=constant(positive(1, 6)),
        half=1e-2,
    ),
    *one(
        "constexpr_cast",
        lambda source_val, output_dtype: source_val.astype(np.float32),
        source_val=constant(normal(3, 5)),
        output_dtype="fp32",
        dtypes=("fp16",),
    ),
    *one("quantize", quantize, input=exact(3, 5), scale=constant(np.array(0.25)), output_dtype="int8"),
    *one(
        "quantize",
        quantize,
        input=exact(3, 5),
        scale=constant(np.array([0.5, 2, 0.125])),
        zero_point=constant(np.array([3, 200, 128], UINT8)),
        axis=0,
        output_dtype="uint8",
    ),
    *one(
        "quantize",
        quantize,
        input=exact(2, 3, 4) * 4,
        scale=constant(np.array([0.5, 0.03125, 1, 0.125])),
        zero_point=constant(np.array([3, -20, 0, 1], INT8)),
        axis=-1,
        output_dtype="int8",
    ),
    *one(
        "dequantize", dequantize, input=bytes_of(3, 5, low=-128, high=127, dtype=INT8), scale=constant(np.array(0.25))
    ),
    *one(
        "dequantize",
        dequantize,
        input=bytes_of(3, 5),
        scale=constant(np.array([0.5, 2, 0.125])),
        zero_point=constant(np.array([3, 200, 128], UINT8)),
        axis=-2,
    ),
    # A palettized weight that a layer reads.
    *program(
        "linear-of-a-palettized-weight",
        "w = constexpr_lut_to_dense(indices = indices, lut = lut); y = linear(x = x, weight = w);",
        lambda x, indices, lut: x @ lut_to_dense(indices, lut).T,
        x=exact(2, 8),
        indices=constant(bytes_of(5, 8)),
        lut=constant(exact(1, 1, 256, 1, seed=4)),
        tolerance=1e-4,
        half=1e-2,
    ),
]
