"""Shape: ops that move elements or make them, and compute nothing."""

import numpy as np

from tests.cases import constant, normal, one, program, samples, whole

TRUTH = whole(3, 4, seed=1) > 0


def counted(*shape, dtype=np.int32):
    """0, 1, 2, … in a shape: every element tells where it comes from."""
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def reshape(x, shape):
    # 0 keeps the dimension counted from the right, as far as there is one.
    shift = x.ndim - len(shape)
    return x.reshape([x.shape[axis + shift] if size == 0 else size for axis, size in enumerate(shape)])


def sliced(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None):
    return x[bounds(x.ndim, begin, end, stride, begin_mask, end_mask, squeeze_mask)]


def bounds(rank, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None):
    none = [False] * rank
    stride, begin_mask, end_mask, squeeze_mask = (
        stride or [1] * rank,
        begin_mask or none,
        end_mask or none,
        squeeze_mask or none,
    )
    return tuple(
        (0 if begin_mask[axis] else int(begin[axis]))
        if squeeze_mask[axis]
        else slice(
            None if begin_mask[axis] else int(begin[axis]), None if end_mask[axis] else int(end[axis]), stride[axis]
        )
        for axis in range(rank)
    )


def by_size(x, begin, size):
    starts = [int(start) + (extent if start < 0 else 0) for start, extent in zip(begin, x.shape, strict=True)]
    return x[
        tuple(
            slice(start, None if length == -1 else start + length) for start, length in zip(starts, size, strict=True)
        )
    ]


def concat(values, axis, interleave=False):
    if not interleave:
        return np.concatenate(values, axis=axis)
    axis %= values[0].ndim
    return np.stack(values, axis=axis + 1).reshape(
        [size * (len(values) if index == axis else 1) for index, size in enumerate(values[0].shape)]
    )


def split(x, axis, num_splits=None, split_sizes=None):
    return np.split(x, num_splits or np.cumsum(split_sizes)[:-1], axis=axis)


def pad(x, pad, mode="constant", constant_val=0.0):
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [tuple(pair) for pair in np.reshape(pad, (-1, 2))]
    if mode == "constant":
        return np.pad(x, widths, constant_values=constant_val)
    return np.pad(x, widths, mode="edge" if mode == "replicate" else mode)


def reverse_sequence(x, lengths, seq_axis=0, batch_axis=0):
    result = x.copy()
    for index, length in enumerate(lengths):
        place = [slice(None)] * x.ndim
        place[batch_axis] = slice(index, index + 1)
        place[seq_axis] = slice(0, length)
        result[tuple(place)] = np.flip(x[tuple(place)], axis=seq_axis)
    return result


def sliding_windows(x, axis, size, stride=1):
    axis %= x.ndim
    starts = range(0, x.shape[axis] - size + 1, stride)
    return np.stack([np.take(x, range(start, start + size), axis=axis) for start in starts], axis=axis)


def depth_to_space(x, block_size):
    n, c, h, w = x.shape
    parts = x.reshape(n, block_size, block_size, c // block_size**2, h, w)
    return parts.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // block_size**2, h * block_size, w * block_size)


def pixel_shuffle(x, upscale_factor):
    n, c, h, w = x.shape
    parts = x.reshape(n, c // upscale_factor**2, upscale_factor, upscale_factor, h, w)
    return parts.transpose(0, 1, 4, 2, 5, 3).reshape(n, c // upscale_factor**2, h * upscale_factor, w * upscale_factor)


def space_to_depth(x, block_size):
    # Each channel of the result is every block_size-th pixel from one place in the block on.
    return np.concatenate(
        [x[:, :, row::block_size, column::block_size] for row in range(block_size) for column in range(block_size)],
        axis=1,
    )


def pixel_unshuffle(x, downscale_factor):
    factor = downscale_factor
    parts = [x[:, :, row::factor, column::factor] for row in range(factor) for column in range(factor)]
    n, c, h, w = parts[0].shape
    return np.stack(parts, axis=2).reshape(n, c * factor**2, h, w)


def space_to_batch(x, block_shape, paddings):
    padded = np.pad(x, [(0, 0), (0, 0), *map(tuple, paddings.array if hasattr(paddings, "array") else paddings)])
    rows, columns = block_shape
    return np.concatenate([padded[:, :, i::rows, j::columns] for i in range(rows) for j in range(columns)], axis=0)


def batch_to_space(x, block_shape, crops):
    rows, columns = block_shape
    batch = x.shape[0] // (rows * columns)
    whole = np.zeros((batch, x.shape[1], x.shape[2] * rows, x.shape[3] * columns), x.dtype)
    for index in range(rows * columns):
        whole[:, :, index // columns :: rows, index % columns :: columns] = x[index * batch : (index + 1) * batch]
    (top, bottom), (left, right) = crops
    return whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]


def one_hot(indices, one_hot_vector_size, axis=-1, on_value=1, off_value=0):
    hit = np.expand_dims(indices, axis) == np.arange(one_hot_vector_size).reshape(
        [-1 if position == axis % (indices.ndim + 1) else 1 for position in range(indices.ndim + 1)]
    )
    return np.where(hit, on_value, off_value).astype(getattr(on_value, "dtype", np.int32))


def band_part(x, lower=-1, upper=-1):
    rows, columns = np.indices(x.shape[-2:])
    inside = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return np.where(inside, x, np.zeros((), x.dtype))


def range_1d(end, start, step):
    return np.arange(start, end, step, dtype=end.dtype)


def fill(shape, value=0.0):
    return np.full(shape, value, np.bool_ if isinstance(value, bool) else getattr(value, "dtype", np.float32))


MATRIX = np.array([[1, 1], [2, 0]], np.int32)

RESHAPING = [
    *one("reshape", reshape, x=normal(2, 3, 5), shape=[5, 6]),
    *one("reshape", reshape, x=normal(2, 3, 5), shape=[-1, 3]),
    *one("reshape", reshape, x=normal(2, 3, 5), shape=[0, -1]),
    *one("reshape", reshape, x=normal(2, 3, 5), shape=[1, 2, 1, 0, 0]),
    *one("reshape", reshape, x=normal(1), shape=[1, 1]),
    *one("reshape", reshape, x=counted(7, 3), shape=[3, 7]),
    *one("reshape", reshape, x=TRUTH, shape=[12]),
    *program(
        "reshape-of-transposed",
        "t = transpose(x = x, perm = [2, 0, 1]); y = reshape(x = t, shape = [10, 3]);",
        lambda x: x.transpose(2, 0, 1).reshape(10, 3),
        x=normal(2, 3, 5),
    ),
    *program(
        "reshape-of-transposed-that-merges",
        "t = transpose(x = x, perm = [1, 2, 0]); y = reshape(x = t, shape = [15, 2]);",
        lambda x: x.transpose(1, 2, 0).reshape(15, 2),
        x=normal(2, 3, 5),
    ),
    *program(
        "reshape-of-slice",
        "t = slice_by_size(x = x, begin = [0, 1], size = [3, 2]); y = reshape(x = t, shape = [6]);",
        lambda x: x[:, 1:].reshape(6),
        x=normal(3, 3),
    ),
    *program(
        "reshape-of-nothing",
        "t = slice_by_size(x = x, begin = [0, 1], size = [3, 0]); y = reshape(x = t, shape = [-1, 3]);",
        lambda x: x[:, 1:1].reshape(0, 3),
        x=normal(3, 3),
    ),
    *one(
        "reshape_like",
        lambda x, ref_tensors, **_: x.reshape(2, 3, 4),
        x=normal(3, 8),
        ref_tensors=[normal(2, 5), normal(7, 3, 4)],
        begins=[constant(np.int32(0)), constant(np.int32(1))],
        ends=[constant(np.int32(1)), constant(np.int32(-9))],
        end_masks=[constant(np.bool_(False)), constant(np.bool_(True))],
    ),
    *one("transpose", lambda x, perm: x.transpose(perm), x=normal(3, 5), perm=[1, 0]),
    *one("transpose", lambda x, perm: x.transpose(perm), x=normal(2, 3, 5, 4), perm=[0, -1, 1, -2]),
    *one("transpose", lambda x, perm: x.transpose(perm), x=normal(2, 3, 1, 5), perm=[3, 2, 1, 0]),
    *one("transpose", lambda x, perm: x.transpose(perm), x=counted(33, 17, dtype=np.int32), perm=[1, 0]),
    *one("transpose", lambda x, perm: x.transpose(perm), x=TRUTH, perm=[1, 0]),
    *one("transpose", lambda x, perm: x.transpose(perm), x=counted(3, 5, 2, dtype=np.int16), perm=[2, 0, 1]),
    *one("transpose", lambda x, perm: x.transpose(perm), x=normal(0, 3), perm=[1, 0]),
    *program(
        "transpose-twice",
        "t = transpose(x = x, perm = [1, 2, 0]); y = transpose(x = t, perm = [1, 0, 2]);",
        lambda x: x.transpose(1, 2, 0).transpose(1, 0, 2),
        x=normal(2, 3, 5),
    ),
    *one("expand_dims", lambda x, axes: np.expand_dims(x, axes), x=normal(3, 5), axes=[0]),
    *one("expand_dims", lambda x, axes: np.expand_dims(x, axes), x=normal(3, 5), axes=[-1, 1]),
    *one("expand_dims", lambda x, axes: np.expand_dims(x, axes), x=counted(4), axes=[0, 2, 3]),
    *one("squeeze", lambda x: x.squeeze(), x=normal(1, 3, 1, 5)),
    *one("squeeze", lambda x, axes: x.squeeze(tuple(axes)), x=normal(1, 3, 1, 5), axes=[-2]),
    # Axes of another length stay.
    *one("squeeze", lambda x, axes: x.squeeze(0), x=normal(1, 3, 1, 5), axes=[0, 1]),
    *program(
        "squeeze-of-transposed",
        "t = transpose(x = x, perm = [2, 1, 0]); y = squeeze(x = t, axes = [1]);",
        lambda x: x.transpose(2, 1, 0).squeeze(1),
        x=normal(3, 1, 5),
    ),
    *one("flatten2d", lambda x: x.reshape(2, 15), x=normal(2, 3, 5)),
    *one("flatten2d", lambda x, axis: x.reshape(6, 5), x=normal(2, 3, 5), axis=-1),
    *one("flatten2d", lambda x, axis: x.reshape(1, 30), x=normal(2, 3, 5), axis=0),
    *one("shape", lambda x: np.array(x.shape, np.int32), x=normal(2, 3, 5)),
    *program(
        "shape-used",
        "s = shape(x = x); y = gather(x = s, indices = [1, 0]);",
        lambda x: np.array([3, 2], np.int32),
        x=normal(2, 3),
    ),
]

JOINING = [
    *one("concat", concat, values=[normal(2, 3), normal(2, 5)], axis=1),
    *one("concat", concat, values=[normal(2, 3), normal(1, 3), normal(4, 3)], axis=-2),
    *one("concat", concat, values=[normal(2, 3)], axis=0),
    *one("concat", concat, values=[normal(2, 0), normal(2, 5)], axis=1, label="with-an-empty-one"),
    *one("concat", concat, values=[normal(2, 3, seed=1), normal(2, 3, seed=2)], axis=0, interleave=True),
    *one("concat", concat, values=[normal(2, 3, seed=1), normal(2, 3, seed=2), normal(2, 3)], axis=-1, interleave=True),
    *one("concat", concat, values=[counted(2, 3), counted(2, 3) + 100], axis=1, label="int32"),
    *one("concat", concat, values=[TRUTH, ~TRUTH], axis=0, label="bool"),
    *program(
        "concat-of-transposed",
        """t = transpose(x = a, perm = [0, 2, 3, 1]);
        u = transpose(x = b, perm = [0, 2, 3, 1]);
        y = concat(values = (t, u), axis = 3);""",
        lambda a, b: np.concatenate([a.transpose(0, 2, 3, 1), b.transpose(0, 2, 3, 1)], axis=3),
        a=normal(1, 3, 4, 5),
        b=normal(1, 2, 4, 5),
    ),
    *program(
        "concat-of-one-twice",
        "y = concat(values = (x, x), axis = 1);",
        lambda x: np.concatenate([x, x], axis=1),
        x=normal(3, 4),
    ),
    *one("split", split, x=normal(4, 6), num_splits=3, axis=1, outputs=3),
    *one("split", split, x=normal(4, 6), split_sizes=[1, 3, 0], axis=-2, outputs=3),
    *one("split", split, x=counted(7, 2), split_sizes=[2, 5], axis=0, outputs=2),
    *one("stack", lambda values, axis: np.stack(values, axis), values=[normal(2, 3), normal(2, 3, seed=1)], axis=0),
    *one("stack", lambda values, axis: np.stack(values, axis), values=[normal(2, 3), normal(2, 3, seed=1)], axis=-1),
    *one(
        "stack",
        lambda values, axis: np.stack(values, axis),
        values=[counted(2, 3), counted(2, 3) + 9],
        axis=1,
        label="int32",
    ),
    *one("tile", lambda x, reps: np.tile(x, reps), x=normal(2, 3), reps=[2, 3]),
    *one("tile", lambda x, reps: np.tile(x, reps), x=normal(1, 3, 2), reps=[3, 1, 2]),
    *one("tile", lambda x, reps: np.tile(x, reps), x=TRUTH, reps=[1, 2]),
    *one("tile", lambda x, reps: np.tile(x, reps), x=normal(0, 3), reps=[2, 2]),
    *program(
        "tile-of-transposed",
        "t = transpose(x = x, perm = [1, 0]); y = tile(x = t, reps = [2, 2]);",
        lambda x: np.tile(x.T, (2, 2)),
        x=normal(2, 3),
    ),
    *one("pad", pad, x=normal(3, 5), pad=[1, 2, 0, 3]),
    *one("pad", pad, x=normal(2, 3, 5), pad=[2, 1], constant_val=-1.5),
    *one("pad", pad, x=counted(3, 5, dtype=np.int16), pad=[1, 0, 0, 1], constant_val=constant(np.int16(7))),
    *one("pad", pad, x=normal(3, 5), pad=[2, 1, 4, 3], mode="reflect"),
    *one("pad", pad, x=normal(2, 3, 5), pad=[0, 2], mode="reflect"),
    *one("pad", pad, x=normal(3, 5), pad=[2, 0, 0, 7], mode="replicate"),
    *one("pad", pad, x=counted(2, 4, 3, dtype=np.uint8), pad=[1, 1, 1, 1], mode="replicate"),
    *one("pad", pad, x=normal(0, 3), pad=[1, 1, 0, 1]),
    *program(
        "pad-of-transposed",
        """t = transpose(x = x, perm = [0, 2, 1]);
        y = pad(x = t, pad = [1, 1, 2, 0], mode = "reflect", constant_val = 0.0);""",
        lambda x: np.pad(x.transpose(0, 2, 1), [(0, 0), (1, 1), (2, 0)], mode="reflect"),
        x=normal(2, 4, 3),
    ),
    *program(
        "pad-constant-of-transposed",
        "t = transpose(x = x, perm = [0, 2, 1]); y = pad(x = t, pad = [1, 1, 2, 0]);",
        lambda x: np.pad(x.transpose(0, 2, 1), [(0, 0), (1, 1), (2, 0)]),
        x=normal(2, 4, 3),
    ),
]

SLICING = [
    *one("slice_by_index", sliced, x=normal(4, 6), begin=[1, 2], end=[3, 5]),
    *one("slice_by_index", sliced, x=normal(4, 6), begin=[-3, -5], end=[-1, 100]),
    *one("slice_by_index", sliced, x=normal(4, 6), begin=[0, 5], end=[4, 0], stride=[3, -2]),
    *one(
        "slice_by_index",
        sliced,
        x=normal(4, 6),
        begin=[0, 0],
        end=[0, 0],
        stride=[-1, -1],
        begin_mask=[True, True],
        end_mask=[True, True],
    ),
    *one(
        "slice_by_index",
        sliced,
        x=normal(4, 6),
        begin=[3, 9],
        end=[9, 0],
        stride=[1, -3],
        begin_mask=[False, True],
        end_mask=[True, False],
    ),
    *one("slice_by_index", sliced, x=normal(4, 6), begin=[-1, 1], end=[0, 4], squeeze_mask=[True, False]),
    *one("slice_by_index", sliced, x=normal(4, 6), begin=[2, 1], end=[0, 0], squeeze_mask=[True, True]),
    *one("slice_by_index", sliced, x=counted(4, 6, dtype=np.int16), begin=[3, 0], end=[2, 6], label="nothing"),
    *one("slice_by_index", sliced, x=counted(3, 4, 5), begin=[0, 3, 1], end=[3, 0, 5], stride=[2, -1, 3]),
    *one("slice_by_index", sliced, x=TRUTH, begin=[0, 1], end=[3, 3]),
    *program(
        "slice_by_index-of-transposed",
        """t = transpose(x = x, perm = [1, 0]);
        y = slice_by_index(x = t, begin = [5, 1], end = [0, 3], stride = [-2, 1]);""",
        lambda x: x.T[5:0:-2, 1:3],
        x=normal(4, 6),
    ),
    *one(
        "slice_by_index",
        lambda x, begin, end, **masks: x[begin[0]],
        "begin-known-at-run-time",
        x=normal(4, 6),
        begin=np.array([2, 0], np.int32),
        end=np.array([0, 0], np.int32),
        begin_mask=[False, True],
        end_mask=[False, True],
        squeeze_mask=[True, False],
    ),
    *one(
        "slice_by_index",
        lambda x, begin, end, **masks: x[begin[0], ::-1],
        "begin-known-at-run-time-from-the-end",
        x=counted(4, 6),
        begin=np.array([-1, 5], np.int16),
        end=np.array([0, 0], np.int16),
        stride=[1, -1],
        begin_mask=[False, True],
        end_mask=[False, True],
        squeeze_mask=[True, False],
    ),
    *one("slice_by_size", by_size, x=normal(4, 6), begin=[1, 2], size=[2, -1]),
    *one("slice_by_size", by_size, x=normal(4, 6), begin=[0, 6], size=[4, 0], label="nothing"),
    *one(
        "slice_by_size",
        by_size,
        "begin-known-at-run-time",
        x=normal(4, 6),
        begin=np.array([1, 3], np.int32),
        size=[2, 3],
    ),
    *one("slice_by_size", by_size, "begin-of-uint16", x=counted(4, 6), begin=np.array([2, 0], np.uint16), size=[2, 1]),
    *one("slice_by_size", by_size, "begin-from-the-end", x=TRUTH, begin=np.array([-2, -4], np.int32), size=[2, 4]),
    *program(
        "slice_by_size-of-transposed-begin-known-at-run-time",
        "t = transpose(x = x, perm = [1, 0]); y = slice_by_size(x = t, begin = begin, size = [3, 2]);",
        lambda x, begin: x.T[begin[0] : begin[0] + 3, begin[1] : begin[1] + 2],
        x=normal(4, 6),
        begin=np.array([2, 1], np.int32),
    ),
    *one("reverse", lambda x: np.flip(x), x=normal(2, 3)),
    *one("reverse", lambda x, axes: np.flip(x, axes), x=normal(2, 3, 5), axes=[-1, 0]),
    *one("reverse", lambda x, axes: np.flip(x, axes), x=TRUTH, axes=[1]),
    *one("reverse", lambda x, axes: np.flip(x, axes), x=normal(0, 3), axes=[0]),
    *one(
        "reverse_sequence",
        reverse_sequence,
        x=normal(3, 5),
        lengths=np.array([5, 0, 3], np.int32),
        seq_axis=1,
        batch_axis=0,
    ),
    *one(
        "reverse_sequence",
        reverse_sequence,
        x=normal(5, 3, 2),
        lengths=np.array([1, 4, 2], np.int32),
        seq_axis=0,
        batch_axis=-2,
    ),
    *one(
        "reverse_sequence",
        reverse_sequence,
        x=counted(2, 4, 3),
        lengths=constant(np.array([4, 2], np.int32)),
        seq_axis=-2,
        batch_axis=0,
    ),
    *one("sliding_windows", sliding_windows, x=normal(7), axis=0, size=3),
    *one("sliding_windows", sliding_windows, x=normal(2, 9, 3), axis=-2, size=4, stride=2),
    *one("sliding_windows", sliding_windows, x=counted(2, 5), axis=1, size=5, stride=3),
    *program(
        "sliding_windows-that-are-added",
        "w = sliding_windows(x = x, axis = 1, size = 3); y = add(x = w, y = w);",
        lambda x: 2 * sliding_windows(x, 1, 3),
        x=normal(2, 6),
    ),
]

BLOCKS = [
    *one("depth_to_space", depth_to_space, x=normal(2, 8, 3, 5), block_size=2),
    *one("depth_to_space", depth_to_space, x=normal(1, 18, 2, 1), block_size=3),
    *one("pixel_shuffle", pixel_shuffle, x=normal(2, 8, 3, 5), upscale_factor=2),
    *one("pixel_shuffle", pixel_shuffle, x=counted(1, 9, 2, 2, dtype=np.uint16), upscale_factor=3),
    *one("space_to_depth", space_to_depth, x=normal(2, 3, 4, 6), block_size=2),
    *one("space_to_depth", space_to_depth, x=normal(1, 2, 3, 9), block_size=3),
    *one("pixel_unshuffle", pixel_unshuffle, x=normal(2, 3, 4, 6), downscale_factor=constant(np.uint32(2))),
    *one(
        "pixel_unshuffle",
        pixel_unshuffle,
        x=counted(1, 2, 6, 3, dtype=np.int16),
        downscale_factor=constant(np.uint32(3)),
    ),
    *program(
        "pixel_shuffle-channels-last",
        "t = transpose(x = x, perm = [0, 3, 1, 2]); y = pixel_shuffle(x = t, upscale_factor = 2);",
        lambda x: pixel_shuffle(x.transpose(0, 3, 1, 2), 2),
        x=normal(2, 3, 5, 8),
    ),
    *one(
        "space_to_batch",
        space_to_batch,
        x=normal(2, 3, 4, 6),
        block_shape=[2, 3],
        paddings=constant(np.zeros((2, 2), np.int32)),
    ),
    *one(
        "space_to_batch",
        space_to_batch,
        x=normal(1, 3, 4, 5),
        block_shape=[3, 2],
        paddings=constant(np.array([[2, 0], [1, 2]], np.int32)),
    ),
    *one(
        "batch_to_space",
        batch_to_space,
        x=normal(12, 3, 2, 3),
        block_shape=[2, 3],
        crops=constant(np.zeros((2, 2), np.int32)),
    ),
    *one("batch_to_space", batch_to_space, x=normal(4, 1, 3, 2), block_shape=[2, 2], crops=constant(MATRIX)),
]

MAKING = [
    *one("fill", fill, shape=[2, 3]),
    *one("fill", fill, shape=[2, 3], value=1.5),
    *one("fill", fill, shape=[0, 3], value=constant(np.int32(7))),
    *one("fill", fill, shape=[3], value=constant(np.int32(-4))),
    *one("fill", fill, shape=[2, 1], value=True),
    *program(
        "fill-in-fp16",
        "y = fill(shape = [2, 2], value = value);",
        lambda value: np.full((2, 2), value),
        value=constant(np.float64(0.1)),
    ),
    *one(
        "fill_like",
        lambda ref_tensor, value: fill(ref_tensor.shape, value),
        ref_tensor=normal(2, 3),
        value=constant(np.int32(4)),
    ),
    *one("fill_like", lambda ref_tensor: fill(ref_tensor.shape), ref_tensor=TRUTH),
    *one(
        "range_1d",
        range_1d,
        end=constant(np.int32(7)),
        start=constant(np.int32(0)),
        step=constant(np.int32(2)),
        label="upwards",
    ),
    *one(
        "range_1d",
        range_1d,
        end=constant(np.int32(-5)),
        start=constant(np.int32(4)),
        step=constant(np.int32(-3)),
        label="downwards",
    ),
    *one(
        "range_1d",
        range_1d,
        end=constant(np.int32(3)),
        start=constant(np.int32(3)),
        step=constant(np.int32(1)),
        label="nothing",
    ),
    *one("range_1d", range_1d, end=constant(1.0), start=constant(-0.5), step=constant(0.25)),
    *one("one_hot", one_hot, indices=np.array([2, 0, 1], np.int32), one_hot_vector_size=4),
    *one("one_hot", one_hot, indices=np.array([[2, 0], [1, 3]], np.int32), one_hot_vector_size=4, axis=0),
    *one(
        "one_hot",
        one_hot,
        indices=np.array([[2, 0], [1, 9]], np.int32),
        one_hot_vector_size=3,
        axis=-2,
        on_value=constant(2.5),
        off_value=constant(-1.0),
    ),
    *one(
        "one_hot",
        one_hot,
        indices=np.array([1, 1], np.uint16),
        one_hot_vector_size=2,
        on_value=constant(np.int32(5)),
        off_value=constant(np.int32(3)),
    ),
    *one("one_hot", one_hot, indices=np.array([-1, 1], np.int32), one_hot_vector_size=2, label="negative"),
    *one("band_part", band_part, x=normal(4, 6), lower=1, upper=2),
    *one("band_part", band_part, x=normal(2, 5, 3), lower=-1, upper=0),
    *one("band_part", band_part, x=normal(5, 5), lower=0, upper=-1),
    *one("band_part", band_part, x=normal(3, 3)),
    *one("band_part", band_part, x=counted(4, 4) + 1, lower=0, upper=0),
    *one("band_part", band_part, x=TRUTH, lower=1, upper=0),
]


def moved(x, **settings):
    """What moves elements, for one array of rank 3: more is said of few types above."""
    label = str(x.dtype)
    for op, function, arguments in (
        ("transpose", np.transpose, {"perm": [2, 0, 1]}),
        ("reshape", reshape, {"shape": [5, -1]}),
        ("expand_dims", lambda x, axes: np.expand_dims(x, tuple(axes)), {"axes": [0, -1]}),
        ("squeeze", lambda x: np.squeeze(x), {}),
        ("tile", np.tile, {"reps": [2, 1, 3]}),
        ("reverse", lambda x, axes: np.flip(x, axes), {"axes": [0, 2]}),
        ("pad", pad, {"pad": [1, 2, 0, 3]}),
        ("pad", pad, {"pad": [1, 2, 2, 3], "mode": "reflect"}),
        ("pad", pad, {"pad": [1, 2, 2, 3], "mode": "replicate"}),
        ("slice_by_index", sliced, {"begin": [2, 4, -1], "end": [0, -5, 0], "stride": [-1, -2, -3]}),
        ("slice_by_size", by_size, {"begin": [1, 0, 2], "size": [2, -1, 3]}),
        ("sliding_windows", sliding_windows, {"axis": 1, "size": 3, "stride": 2}),
        ("band_part", band_part, {"lower": 1, "upper": 2}),
        ("concat", concat, {"axis": 1}),
        ("concat", concat, {"axis": 1, "interleave": True}),
        ("stack", lambda values, axis: np.stack(values, axis), {"axis": -2}),
    ):
        words = "-".join([label, *map(str, arguments.values())])
        if op in ("concat", "stack"):
            yield from one(op, function, words, values=[x, x[::-1].copy()], **arguments, **settings)
        elif op == "transpose":
            yield from one(op, lambda x, perm: np.transpose(x, perm).copy(), words, x=x, **arguments, **settings)
        elif op == "tile":
            yield from one(op, lambda x, reps: np.tile(x, reps), words, x=x, **arguments, **settings)
        elif op == "squeeze":
            yield from one(op, function, words, x=x[:, :1], **arguments, **settings)
        else:
            yield from one(op, function, words, x=x, **arguments, **settings)
    yield from one("split", split, label, x=x, axis=1, split_sizes=[1, 4], outputs=2, **settings)
    yield from one(
        "fill_like",
        lambda ref_tensor, value: np.full_like(ref_tensor, value),
        label,
        ref_tensor=x,
        value=constant(x[0, 0, 0]),
        **settings,
    )
    yield from one(
        "fill", lambda shape, value: np.full(shape, value), label, shape=[2, 3], value=constant(x[0, 0, 0]), **settings
    )


def in_every_type():
    for x, settings in samples(4, 5, 6):
        yield from moved(x, **settings)
    for index in ("int8", "uint8", "int16", "uint32", "int64", "uint64"):
        for x, settings in samples(2, kinds="bifc"):
            yield from one(
                "one_hot",
                one_hot,
                f"{index}-of-{x.dtype}",
                indices=np.array([[2, 0], [1, 3]], index),
                one_hot_vector_size=3,
                axis=1,
                on_value=constant(x[0]),
                off_value=constant(x[1]),
                **settings,
            )


# More axes than anything has, none, and none filled.
RANKS = [
    *one(
        "transpose",
        lambda x, perm: np.transpose(x, perm).copy(),
        "rank-9",
        x=np.arange(2**9).reshape([2] * 9),
        perm=[8, 1, 6, 3, 4, 5, 2, 7, 0],
    ),
    *one(
        "tile",
        lambda x, reps: np.tile(x, reps),
        "rank-9",
        x=np.arange(2**9, dtype=np.uint8).reshape([2] * 9),
        reps=[2, 1, 2, 1, 2, 1, 2, 2, 2],
    ),
    *one("reverse", lambda x: np.flip(x), "rank-18", x=np.arange(2**18).reshape([2] * 18)),
    *one(
        "slice_by_index",
        sliced,
        "rank-9",
        x=np.arange(2.0**9).reshape([2] * 9),
        begin=[1] * 9,
        end=[-3] * 9,
        stride=[-1] * 9,
        dtypes=("fp64",),
    ),
    *one("reverse", lambda x: np.flip(x), "rank-0", x=np.array(7, np.int64), core_ml=False),
    *one("stack", lambda values, axis: np.stack(values, axis), "rank-0", values=[np.array(7), np.array(8)], axis=0),
    *one(
        "concat",
        lambda values, axis: np.array(values),
        "rank-0",
        values=[np.array(7), np.array(8)],
        axis=0,
        core_ml=False,
    ),
    *one("transpose", lambda x, perm: np.transpose(x, perm), "empty", x=np.zeros((0, 3), np.int64), perm=[1, 0]),
    *one("concat", concat, "empty", values=[np.zeros((0, 3)), np.ones((2, 3))], axis=0, dtypes=("fp64",)),
    *one("slice_by_index", sliced, "empty", x=np.arange(4), begin=[3], end=[1], stride=[1], core_ml=False),
    *one("band_part", band_part, "empty", x=np.zeros((2, 0, 3), np.uint64), lower=0, upper=0),
    *one(
        "range_1d",
        range_1d,
        "large",
        start=constant(np.int64(2**60 + 1)),
        end=constant(np.int64(2**60 + 12)),
        step=constant(np.int64(3)),
    ),
    *one(
        "range_1d",
        range_1d,
        "falling",
        start=constant(np.int64(2**62)),
        end=constant(np.int64(-(2**62))),
        step=constant(np.int64(-(2**61))),
    ),
    *one(
        "range_1d",
        range_1d,
        "numbers",
        start=constant(np.uint8(3)),
        end=constant(np.uint8(250)),
        step=constant(np.uint8(100)),
    ),
    *one(
        "pad",
        pad,
        "value",
        x=np.arange(3, dtype=np.uint64) + 2**63,
        pad=[1, 1],
        constant_val=constant(np.uint64(2**64 - 1)),
    ),
]

CASES = [*RESHAPING, *JOINING, *SLICING, *BLOCKS, *MAKING, *in_every_type(), *RANKS]
