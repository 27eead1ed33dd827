"""Indexing: elements taken or replaced by position, and positions found by value."""

import numpy as np

from tests.cases import constant, normal, one, program, samples, whole
from tests.cases.shape import bounds, counted

INT32 = np.int32
COMBINE = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a // b if a.dtype.kind == "i" else a / b,
    "max": np.maximum,
    "min": np.minimum,
    "update": lambda a, b: b,
}


def gather(x, indices, axis=0, batch_dims=0):
    if batch_dims == 0:
        return np.take(x, indices, axis=axis)
    rows = x.shape[:batch_dims]
    axis = axis % x.ndim - batch_dims
    parts = [np.take(x[place], indices[place], axis=axis) for place in np.ndindex(*rows)]
    return np.stack(parts).reshape(*rows, *parts[0].shape)


def along(x, indices, axis=0):
    return np.take_along_axis(x, indices.astype(int), axis=axis)


def gather_nd(x, indices, batch_dims=0):
    places = indices.shape[:-1]
    depth = indices.shape[-1]
    result = np.empty((*places, *x.shape[batch_dims + depth :]), x.dtype)
    for place in np.ndindex(*places):
        result[place] = x[(*place[:batch_dims], *map(int, indices[place]))]
    return result


def scatter(data, indices, updates, axis=0, mode="add"):
    result = np.moveaxis(data, axis, 0).copy()
    axis %= data.ndim
    # The axes of the indices stand where the axis stood.
    parts = np.moveaxis(updates, range(axis, axis + indices.ndim), range(indices.ndim))
    for place in np.ndindex(*indices.shape):
        at = int(indices[place])
        result[at] = COMBINE[mode](result[at], parts[place])
    return np.moveaxis(result, 0, axis)


def scatter_along(data, indices, updates, axis=0, mode="add"):
    result = data.copy()
    for place in np.ndindex(*indices.shape):
        at = list(place)
        at[axis] = int(indices[place])
        result[tuple(at)] = COMBINE[mode](result[tuple(at)], updates[place])
    return result


def scatter_nd(data, indices, updates, mode="add"):
    result = data.copy()
    for place in np.ndindex(*indices.shape[:-1]):
        at = tuple(map(int, indices[place]))
        result[at] = COMBINE[mode](result[at], updates[place])
    return result


def slice_update(x, update, begin, end, **masks):
    result = x.copy()
    result[bounds(x.ndim, begin, end, **masks)] = update
    return result


def topk(x, k=1, axis=-1, ascending=False, sort=True, return_indices=True, output_indices_dtype="int32"):
    order = np.argsort(x if ascending else -x, axis=axis, kind="stable")
    order = np.take(order, range(x.shape[axis] if k == -1 else k), axis=axis)
    values = np.take_along_axis(x, order, axis=axis)
    return (values, order.astype(output_indices_dtype)) if return_indices else values


def argsort(x, axis=-1, ascending=False):
    return np.argsort(x if ascending else -x, axis=axis, kind="stable").astype(np.int32)


def union_share(a, b):
    """The shared part of the union of two boxes (centre x, centre y, width, height)."""
    sides = [
        max(0, min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2))
        for i in (0, 1)
    ]
    inner = sides[0] * sides[1]
    return inner / (a[2] * a[3] + b[2] * b[3] - inner)


def suppression(boxes, scores, iou_threshold, max_boxes, per_class_suppression=False, score_threshold=None):
    chosen = []
    for box, score in zip(boxes, scores, strict=True):
        best, kind = score.max(axis=0), score.argmax(axis=0)
        left = list(np.argsort(-best, kind="stable"))
        if score_threshold is not None:
            # The best box stays when none is good enough.
            left = [index for index in left if best[index] >= score_threshold] or left[:1]
        kept = []
        while left and len(kept) < max_boxes:
            index = left.pop(0)
            kept.append(int(index))
            left = [
                other
                for other in left
                if union_share(box[:, index], box[:, other]) <= iou_threshold
                or (per_class_suppression and kind[index] != kind[other])
            ]
        chosen.append(kept)
    shape = len(boxes), max_boxes
    results = (
        np.zeros((shape[0], 4, max_boxes)),
        np.zeros((shape[0], scores.shape[1], max_boxes)),
        np.full(shape, -1, INT32),
    )
    for batch, kept in enumerate(chosen):
        results[0][batch, :, : len(kept)] = boxes[batch][:, kept]
        results[1][batch, :, : len(kept)] = scores[batch][:, kept]
        results[2][batch, : len(kept)] = kept
    return (*results, np.array([len(kept) for kept in chosen], INT32)) if score_threshold is not None else results


def scored(least):
    def reference(boxes, scores):
        results = suppression(boxes, scores, 0.25, 9, score_threshold=float(np.float32(least)))
        return (*results, results[-1] > 0)

    return reference


def boxes(batch, count, seed=0):
    """Boxes that overlap here and there, with sides and places that fp16 holds exactly."""
    random = np.random.default_rng(seed)
    places = random.integers(0, 24, (batch, 2, count)) / 4
    return np.concatenate([places, random.integers(4, 12, (batch, 2, count)) / 4], axis=1).astype(np.float32)


def scores(batch, classes, count, seed=0):
    """Scores that are all different."""
    numbers = np.random.default_rng(seed).permutation(batch * classes * count).reshape(batch, classes, count)
    return ((numbers + 1) / 1024).astype(np.float32)


SPREAD = np.array([[4, 0, 2], [1, 1, -1]], INT32)

GATHERING = [
    *one("gather", gather, x=normal(5, 3), indices=np.array([4, 0, 4, 2], INT32)),
    *one("gather", gather, x=normal(5, 3), indices=np.array([-1, -5, 1], INT32), axis=0, label="from-the-end"),
    *one("gather", gather, x=normal(2, 5, 3), indices=SPREAD, axis=1),
    *one("gather", gather, x=normal(2, 3, 5), indices=SPREAD, axis=-1),
    *one("gather", gather, x=normal(5, 3), indices=constant(np.array(-2, INT32)), label="one-index"),
    *one("gather", gather, x=normal(5, 3), indices=constant(np.array([1, 0], INT32)), axis=0),
    *one("gather", gather, x=normal(5, 3), indices=np.array([1, 4], np.uint16)),
    *one("gather", gather, x=normal(5, 3), indices=np.array([1, -1], np.int16)),
    *one("gather", gather, x=normal(5, 3), indices=np.array([1, -1], np.int8)),
    *one("gather", gather, x=normal(5, 3), indices=np.array([1, 4], np.uint8)),
    *one("gather", gather, x=normal(5, 3), indices=np.zeros((0,), INT32)),
    *one("gather", gather, x=counted(4, 3, dtype=np.int8), indices=np.array([3, 1], INT32)),
    *one("gather", gather, x=counted(4, 3, dtype=np.uint16), indices=np.array([2, 1], INT32), axis=1),
    *one("gather", gather, x=whole(3, 4) > 0, indices=np.array([2, 1], INT32)),
    *one("gather", gather, x=normal(2, 5, 3), indices=np.array([[4, 0], [1, 2]], INT32), axis=1, batch_dims=1),
    *one("gather", gather, x=normal(2, 3, 4), indices=np.array([[0, -1], [1, 2]], INT32), axis=-1, batch_dims=1),
    *one("gather", gather, x=normal(2, 3, 4, 2), indices=whole(2, 3, 5, low=0, high=3), axis=2, batch_dims=2),
    *program(
        "gather-of-transposed",
        """t = transpose(x = x, perm = [1, 0]);
        u = transpose(x = i, perm = [1, 0]);
        y = gather(x = t, indices = u, axis = 0);""",
        lambda x, i: x.T[i.T],
        x=normal(3, 5),
        i=SPREAD,
    ),
    *one("gather_along_axis", along, x=normal(5, 3), indices=SPREAD, axis=0),
    *one("gather_along_axis", along, x=normal(2, 4), indices=np.array([[3, 0, -4], [1, 1, 2]], INT32), axis=-1),
    *one("gather_along_axis", along, x=normal(2, 4, 3), indices=whole(2, 5, 3, low=-4, high=3), axis=1),
    *one("gather_along_axis", along, x=normal(2, 4), indices=np.array([[3], [1]], np.uint16), axis=1),
    *one("gather_along_axis", along, x=counted(3, 2, dtype=np.uint8), indices=np.array([[2, 0]], np.int8), axis=0),
    *one("gather_along_axis", along, x=counted(3, 2, dtype=np.int16), indices=np.array([[2, 0]], INT32), axis=0),
    *one("gather_nd", gather_nd, x=normal(3, 4), indices=np.array([[2, 1], [0, 3]], INT32)),
    *one("gather_nd", gather_nd, x=normal(3, 4, 2), indices=np.array([[[2, -1]], [[-3, 3]]], INT32)),
    *one("gather_nd", gather_nd, x=normal(3, 4, 2), indices=np.array([[2], [0]], np.uint16)),
    *one("gather_nd", gather_nd, x=normal(3, 4), indices=np.zeros((2, 0), INT32)),
    *one("gather_nd", gather_nd, x=normal(2, 3, 4), indices=np.array([[[1], [0]], [[2], [2]]], INT32), batch_dims=1),
    *one("gather_nd", gather_nd, x=normal(2, 2, 3, 4), indices=whole(2, 2, 1, 2, low=0, high=2), batch_dims=2),
    *one("gather_nd", gather_nd, x=counted(3, 4, dtype=np.int8), indices=np.array([[2, 1], [0, 3]], INT32)),
    *program(
        "gather_nd-of-transposed",
        "t = transpose(x = x, perm = [1, 0, 2]); y = gather_nd(x = t, indices = i);",
        lambda x, i: gather_nd(x.transpose(1, 0, 2), i),
        x=normal(3, 4, 2),
        i=np.array([[3, 2], [0, 1]], INT32),
    ),
]

# Numbers whose products and quotients fp16 holds well enough; no two updates meet in one place when dividing.
DATA = np.arange(1, 16, dtype=np.float32).reshape(5, 3) / 4
UPDATES = np.arange(2, 14, dtype=np.float32).reshape(4, 3) / 8
PLACES = np.array([4, 0, -2, 0], INT32)

SCATTERING = [
    *[
        case
        for mode in COMBINE
        for case in [
            *one("scatter", scatter, data=DATA, indices=PLACES, updates=UPDATES, axis=0, mode=mode),
            *one("scatter", scatter, data=whole(2, 5), indices=PLACES, updates=whole(2, 4, low=1), axis=1, mode=mode),
            *one(
                "scatter_along_axis", scatter_along, data=DATA, indices=SPREAD, updates=UPDATES[:2], axis=0, mode=mode
            ),
            *one(
                "scatter_along_axis",
                scatter_along,
                data=whole(3, 5),
                indices=np.array([[0, -1], [2, 2], [1, 4]], INT32),
                updates=whole(3, 2, low=1),
                axis=-1,
                mode=mode,
            ),
            *one(
                "scatter_nd",
                scatter_nd,
                data=DATA,
                indices=np.array([[4, 2], [0, -1], [4, 2]], INT32),
                updates=UPDATES[0],
                mode=mode,
            ),
            *one(
                "scatter_nd",
                scatter_nd,
                data=whole(4, 3),
                indices=np.array([[3], [-4]], INT32),
                updates=whole(2, 3, low=1),
                mode=mode,
            ),
        ]
    ],
    *one("scatter", scatter, data=DATA, indices=np.array([1, 3], np.uint16), updates=UPDATES[:2]),
    *one("scatter", scatter, data=normal(2, 5, 3), indices=SPREAD, updates=normal(2, 2, 3, 3), axis=1),
    *one(
        "scatter",
        scatter,
        data=normal(2, 5),
        indices=constant(np.array(2, INT32)),
        updates=normal(2),
        axis=-1,
        mode="update",
    ),
    *one("scatter", scatter, data=DATA, indices=np.zeros((0,), INT32), updates=np.zeros((0, 3), np.float32)),
    *one(
        "scatter",
        scatter,
        data=counted(4, 2, dtype=np.int16),
        indices=np.array([1, 1], INT32),
        updates=counted(2, 2, dtype=np.int16),
    ),
    *one(
        "scatter", scatter, data=counted(4) > 1, indices=np.array([1, 3], INT32), updates=counted(2) < 1, mode="update"
    ),
    *one(
        "scatter_nd",
        scatter_nd,
        data=normal(2, 3, 4),
        indices=np.array([[[1, 2]], [[0, 0]]], np.int16),
        updates=normal(2, 1, 4),
    ),
    *one(
        "scatter_along_axis",
        scatter_along,
        data=normal(2, 3, 4),
        indices=whole(2, 5, 4, low=-3, high=2),
        updates=normal(2, 5, 4),
        axis=1,
    ),
    *program(
        "scatter-of-transposed",
        """t = transpose(x = x, perm = [1, 0]);
        u = transpose(x = v, perm = [1, 0]);
        y = scatter(data = t, indices = i, updates = u);""",
        lambda x, i, v: scatter(x.T, i, v.T),
        x=normal(3, 5),
        i=np.array([1, 4], INT32),
        v=normal(3, 2),
    ),
    *program(
        "scatter-into-what-is-not-needed-again",
        "t = add(x = x, y = x); y = scatter(data = t, indices = i, updates = v);",
        lambda x, i, v: scatter(x + x, i, v),
        x=normal(5, 3),
        i=np.array([1, 1], INT32),
        v=normal(2, 3),
    ),
    *program(
        "scatter-into-what-is-needed-again",
        "t = add(x = x, y = x); s = scatter(data = t, indices = i, updates = v); y = sub(x = s, y = t);",
        lambda x, i, v: scatter(x + x, i, v) - (x + x),
        x=normal(5, 3),
        i=np.array([1, 1], INT32),
        v=normal(2, 3),
    ),
    *program(
        "scatter-of-its-own-data",
        "t = add(x = x, y = x); y = scatter(data = t, indices = i, updates = t);",
        lambda x, i: scatter(x + x, i, x + x),
        x=normal(3, 2),
        i=np.array([1, 2, 2], INT32),
    ),
    *one("slice_update", slice_update, x=normal(4, 6), update=normal(2, 3), begin=[1, 2], end=[3, 5]),
    *one("slice_update", slice_update, x=normal(4, 6), update=normal(2, 3), begin=[-3, 5], end=[-1, 0], stride=[1, -2]),
    *one(
        "slice_update",
        slice_update,
        x=normal(4, 6),
        update=normal(6),
        begin=[-1, 1],
        end=[0, 4],
        begin_mask=[False, True],
        end_mask=[False, True],
        squeeze_mask=[True, False],
    ),
    *one(
        "slice_update",
        slice_update,
        x=counted(4, 6, dtype=np.uint8),
        update=counted(2, 6, dtype=np.uint8),
        begin=[1, 0],
        end=[3, 6],
    ),
    *one(
        "slice_update",
        slice_update,
        x=counted(4, 6, dtype=np.int16),
        update=counted(0, 6, dtype=np.int16),
        begin=[1, 0],
        end=[1, 6],
    ),
    *one(
        "slice_update",
        slice_update,
        "begin-known-at-run-time",
        x=normal(4, 6),
        update=normal(2, 3),
        begin=np.array([1, 2], INT32),
        end=np.array([3, 5], INT32),
    ),
    *one(
        "slice_update",
        slice_update,
        "begin-of-int16",
        x=counted(4, 6),
        update=counted(3, 2),
        begin=np.array([1, 2], np.int16),
        end=np.array([99, -2], np.int16),
    ),
    *program(
        "slice_update-in-place-and-transposed",
        """t = add(x = x, y = x);
        u = transpose(x = v, perm = [1, 0]);
        y = slice_update(x = t, update = u, begin = [0, 1], end = [2, 4]);""",
        lambda x, v: slice_update(x + x, v.T, [0, 1], [2, 4]),
        x=normal(3, 5),
        v=normal(3, 2),
    ),
    *program(
        "slice_update-by-a-part-of-itself",
        """t = add(x = x, y = x);
        u = slice_by_size(x = t, begin = [0, 0], size = [2, 5]);
        y = slice_update(x = t, update = u, begin = [1, 0], end = [3, 5]);""",
        lambda x: slice_update(x + x, (x + x)[:2], [1, 0], [3, 5]),
        x=normal(3, 5),
    ),
]

TIES = np.array([[3, 1, 3, 2, 1], [0, 0, 0, 0, 0]], INT32)

SEARCHING = [
    *one("topk", topk, x=normal(3, 7), k=3, outputs=2),
    *one("topk", topk, x=normal(3, 7), k=2, axis=0, ascending=True, outputs=2),
    *one("topk", topk, x=normal(2, 5, 3), k=5, axis=-2, outputs=2),
    *one("topk", topk, x=normal(2, 3), k=0, outputs=2),
    *one("topk", topk, x=normal(4), outputs=2),
    *one("topk", topk, x=TIES.astype(np.uint8), k=-1, outputs=2),
    *one("topk", topk, x=counted(3, 7, dtype=np.int16), k=2, return_indices=False),
    *one("topk", topk, x=normal(3, 7), k=2, output_indices_dtype="uint16", outputs=2),
    *one("topk", topk, x=TIES, k=4, outputs=2),
    *one("topk", topk, x=TIES, k=4, ascending=True, outputs=2),
    *one("topk", topk, x=TIES.astype(np.int8), k=3, outputs=2),
    *one("topk", topk, x=TIES.astype(np.int16), k=3, axis=0 - 1, ascending=True, outputs=2),
    *one("topk", topk, x=normal(2, 2000), k=1500, outputs=2),
    *program(
        "topk-of-transposed",
        "t = transpose(x = x, perm = [1, 0]); a, b = topk(x = t, k = 2, axis = 1);",
        lambda x: topk(x.T, 2, 1),
        outputs=("a", "b"),
        x=normal(5, 3),
    ),
    *one("argsort", argsort, x=normal(3, 7)),
    *one("argsort", argsort, x=normal(3, 7), axis=0, ascending=True),
    *one("argsort", argsort, x=TIES, axis=-1),
    *one("argsort", argsort, x=normal(2, 3, 4), axis=-2),
    *one("argsort", argsort, x=normal(2500)),
    *one("non_zero", lambda x: np.argwhere(x).astype(INT32), x=constant(np.array([[0, 1.5, 0], [-2, 0, 3]]))),
    *one("non_zero", lambda x: np.argwhere(x).astype(INT32), x=constant(np.array([0, 1, 0, -4], INT32))),
    *one("non_zero", lambda x: np.argwhere(x).astype(INT32), x=constant(np.array([[True, False], [False, True]]))),
    *one("non_zero", lambda x: np.argwhere(x).astype(INT32), x=constant(np.zeros((2, 2), INT32))),
    *one(
        "non_maximum_suppression",
        suppression,
        boxes=boxes(1, 12),
        scores=scores(1, 1, 12),
        iou_threshold=0.3,
        max_boxes=6,
        outputs=3,
    ),
    *one(
        "non_maximum_suppression",
        suppression,
        boxes=boxes(2, 20, 1),
        scores=scores(2, 3, 20),
        iou_threshold=0.2,
        max_boxes=25,
        outputs=3,
    ),
    *one(
        "non_maximum_suppression",
        suppression,
        boxes=boxes(2, 20, 1),
        scores=scores(2, 3, 20),
        iou_threshold=0.2,
        max_boxes=25,
        per_class_suppression=True,
        outputs=3,
    ),
    # Only models of older opsets have a threshold of scores: a bool among the outputs keeps the case out of files.
    *[
        case
        for least in (0.05, 9.0)
        for case in program(
            f"non_maximum_suppression-scores-from-{least}-on",
            f"""a, b, c, d = non_maximum_suppression(
                boxes = boxes, scores = scores, iou_threshold = 0.25, score_threshold = {least}, max_boxes = 9);
            e = greater(x = d, y = 0);""",
            scored(least),
            outputs=("a", "b", "c", "d", "e"),
            boxes=boxes(2, 20, 1),
            scores=scores(2, 3, 20),
        )
    ],
    # Two boxes that share a third of their union: kept at that threshold, not below it.
    *[
        case
        for threshold in (0.25, 0.375)
        for case in one(
            "non_maximum_suppression",
            suppression,
            boxes=np.array([[[1, 2], [1, 1], [2, 2], [2, 2]]], np.float32),
            scores=np.array([[[0.5, 0.75]]], np.float32),
            iou_threshold=threshold,
            max_boxes=3,
            outputs=3,
        )
    ],
]


def combined(mode, x):
    """A mode for a type. Integers wrap around; their quotients are rounded down, and division by 0 gives 0."""
    if x.dtype.kind == "b":
        return {"add": np.logical_or, "mul": np.logical_and, "max": np.logical_or, "min": np.logical_and}.get(
            mode, COMBINE["update"]
        )
    if mode == "div" and x.dtype.kind in "iu":
        return lambda a, b: np.floor_divide(a, b) if b else b
    return COMBINE[mode]


def scatter_typed(data, indices, updates, axis=0, mode="add"):
    result = data.copy()
    for place, index in enumerate(indices):
        at = result[int(index)]
        parts = [combined(mode, data)(a, b) for a, b in zip(at.ravel(), updates[place].ravel(), strict=True)]
        result[int(index)] = np.array(parts, data.dtype).reshape(at.shape)
    return result


def ordered(x, axis, ascending):
    """The positions of the elements in sorted order. The sort is stable, and NaN counts as the greatest."""
    line = np.moveaxis(x, axis, -1)
    rank = np.unique(line, return_inverse=True, equal_nan=True)[1].reshape(line.shape)
    return np.moveaxis(np.argsort(rank if ascending else -rank, axis=-1, kind="stable"), -1, axis)


def argsort_typed(x, axis=-1, ascending=False, output_dtype="int32"):
    return ordered(x, axis, ascending).astype(output_dtype)


def sort(x, axis=-1, ascending=True, stable=True):
    return np.take_along_axis(x, ordered(x, axis, ascending), axis)


def topk_typed(x, k=1, axis=-1, ascending=False, sort=True, return_indices=True, output_indices_dtype="int32"):
    order = np.take(ordered(x, axis, ascending), range(k), axis)
    return np.take_along_axis(x, order, axis), order.astype(output_indices_dtype)


def search_sorted(x, v, side="left", output_dtype="int32"):
    return np.searchsorted(x, v, side).astype(output_dtype)


def non_zero(x, output_dtype="int32"):
    return np.argwhere(x).astype(output_dtype)


def unique(x, output_dtype="int32"):
    values, *places = np.unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    first, inverse, counts = (each.astype(output_dtype) for each in places)
    return values, first, inverse.reshape(x.shape), counts


def few(x):
    """The same array with few different elements, of which some are 0."""
    return x.ravel()[np.arange(x.size) ** 2 % 7].reshape(x.shape) * (np.arange(x.size) % 4 > 0).astype(x.dtype).reshape(
        x.shape
    )


def in_every_type():
    for x, settings in samples(4, 5, 6):
        label = str(x.dtype)
        for index in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
            at = np.array([3, 1, 1], index)
            yield from one("gather", gather, f"{label}-{index}", x=x, indices=at, axis=1, **settings)
        places = whole(2, 5, 6, low=0, high=3).astype(np.int64)
        yield from one("gather_along_axis", along, f"{label}-int64", x=x, indices=places, axis=0, **settings)
        pairs = np.array([[2, 1], [-1, 3]], np.int64)
        yield from one("gather_nd", gather_nd, f"{label}-int64", x=x, indices=pairs, **settings)
        updates = x[:3][::-1].copy()
        for mode in COMBINE:
            if (x.dtype.kind == "c" and mode in ("max", "min")) or (x.dtype.kind == "b" and mode in ("sub", "div")):
                continue
            yield from one(
                "scatter",
                scatter_typed,
                f"{label}-{mode}",
                data=x,
                indices=np.array([3, 0, 3]),
                updates=updates,
                mode=mode,
                **settings,
            )
        yield from one(
            "scatter_along_axis",
            scatter_along,
            f"{label}-update",
            data=x,
            indices=places,
            updates=x[:2].copy(),
            mode="update",
            **settings,
        )
        yield from one(
            "scatter_nd",
            scatter_nd,
            f"{label}-update",
            data=x,
            indices=pairs,
            updates=x[0, :2].copy(),
            mode="update",
            **settings,
        )
        yield from one(
            "slice_update",
            slice_update,
            f"{label}-back",
            x=x,
            update=x[:2, :2, :2].copy(),
            begin=[3, 4, 5],
            end=[1, 0, 1],
            stride=[-1, -2, -2],
            **settings,
        )
        yield from one("non_zero", non_zero, label, x=few(x), **settings)
        yield from one("non_zero", non_zero, label + "-int64", x=few(x), output_dtype="int64", **settings)
        yield from one(
            "masked_select", lambda x, mask: x[mask], label, x=x, mask=whole(4, 5, 6) > 0, core_ml=False, **settings
        )
        yield from one("unique", unique, label, x=few(x), outputs=4, core_ml=False, **settings)
    for shape, axis in (((3, 5, 7), 1), ((2, 1500), 1), ((1100, 3), 0)):
        for x, settings in samples(*shape, kinds="biuf"):
            x = few(x) if shape == (3, 5, 7) else x
            for ascending in (False, True):
                more = {"x": x, "axis": axis, "ascending": ascending, **settings}
                yield from one("argsort", argsort_typed, f"{x.dtype}-{shape}-{ascending}", **more)
                yield from one("sort", sort, f"{x.dtype}-{shape}-{ascending}", core_ml=False, **more)
                yield from one("topk", topk_typed, f"{x.dtype}-{shape}-{ascending}", k=3, outputs=2, **more)
    for x, settings in samples(40, kinds="biuf"):
        for side in ("left", "right"):
            yield from one(
                "search_sorted",
                search_sorted,
                f"{x.dtype}-{side}",
                x=np.sort(few(x)),
                v=x.reshape(5, 8),
                side=side,
                core_ml=False,
                **settings,
            )


NANS = np.array([np.nan, 1, -0.0, np.inf, 0.0, np.nan, -np.inf, 1])
TOGETHER = {"dtypes": ("fp64", "fp32", "fp16"), "core_ml": False}
OPEN = [
    *(
        case
        for up in (False, True)
        for case in one("argsort", argsort_typed, f"nan-{up}", x=NANS, ascending=up, **TOGETHER)
    ),
    *(case for up in (False, True) for case in one("sort", sort, f"nan-{up}", x=NANS, ascending=up, **TOGETHER)),
    *one("argsort", argsort_typed, "int64", x=whole(3, 5), output_dtype="int64", core_ml=False),
    *one("topk", topk_typed, "int64", x=whole(3, 5), k=2, output_indices_dtype="int64", outputs=2, core_ml=False),
    *one("search_sorted", search_sorted, "nan", x=np.sort(NANS), v=NANS, output_dtype="int64", **TOGETHER),
    *one("search_sorted", search_sorted, "empty", x=np.zeros(0), v=NANS, **TOGETHER),
    *one("unique", unique, "nan", x=NANS, outputs=4, **TOGETHER),
    *one("unique", unique, "complex-nan", x=NANS * 1j + np.array([1, 0] * 4), outputs=4, dtypes=("fp32", "fp64")),
    *one("unique", unique, "wide", x=whole(50, 60), output_dtype="int64", outputs=4, core_ml=False),
    *one("unique", unique, "many", x=normal(3000) // 0.001, outputs=4, dtypes=("fp32", "fp64"), core_ml=False),
    *one("unique", unique, "empty", x=np.zeros((0, 3), np.int64), outputs=4, core_ml=False),
    *one("unique", unique, "lone", x=np.array(5, np.uint8), outputs=4, core_ml=False),
    *one("masked_select", lambda x, mask: x[mask], "none", x=normal(3, 4), mask=np.zeros((3, 4), bool), **TOGETHER),
    *one("masked_select", lambda x, mask: x[mask], "all", x=normal(3, 4), mask=np.ones((3, 4), bool), **TOGETHER),
    *one("non_zero", non_zero, "none", x=np.zeros((3, 4)), **TOGETHER),
    *one("non_zero", non_zero, "empty", x=np.zeros((3, 0)), **TOGETHER),
    *one("non_zero", non_zero, "nan", x=NANS, **TOGETHER),
    # Beside a result of a known size.
    *program(
        "open-results",
        "a = transpose(x = x, perm = [1, 0]); b = greater(x = a, y = 0.0); c = masked_select(x = a, mask = b);"
        " d = non_zero(x = b); e = reduce_sum(x = a, axes = [0], keep_dims = false);",
        lambda x: (x.T[x.T > 0], np.argwhere(x.T > 0).astype(INT32), x.sum(1)),
        outputs=("c", "d", "e"),
        x=normal(4, 5),
        half=1e-2,
        core_ml=False,
    ),
]

CASES = [*GATHERING, *SCATTERING, *SEARCHING, *in_every_type(), *OPEN]
