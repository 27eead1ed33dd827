"""Images: resizing, cropping and sampling of the last two axes, height and width."""

import numpy as np

from tests.cases import constant, normal, one, program, whole

MODES = "DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "UNALIGN_CORNERS", "OFFSET_CORNERS"


# Resizing: the formulas of Core ML's sampling modes


def grid(mode, count, first, last):
    """Where `count` samples lie on an axis whose end pixels are `first` and `last`."""
    i = np.arange(count, dtype=np.float64)
    pixels = last - first + 1
    points = {
        "DEFAULT": first + i * pixels / count,
        "STRICT_ALIGN_CORNERS": first + i * (last - first) / max(count - 1, 1),
        "ALIGN_CORNERS": np.linspace(first, last, count) if count > 1 else np.full(1, (first + last) / 2),
        "UNALIGN_CORNERS": first + i * pixels / count + pixels / count / 2 - 0.5,
        "OFFSET_CORNERS": first + (i + 0.5) * max(1, last - first) / count,
    }[mode]
    return points.clip(min(first, last), max(first, last))


def resized(x, axis, points):
    """An axis at given points, mixed linearly."""
    low = np.floor(points).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    shape = [-1 if index == axis % x.ndim else 1 for index in range(x.ndim)]
    weight = (points - low).reshape(shape)
    return np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight


def linear(x, mode, *sizes):
    for axis, size in enumerate(sizes, -len(sizes)):
        x = resized(x, axis, grid(mode, size, 0, x.shape[axis] - 1))
    return x


def nearest(x, place, *sizes):
    for axis, size in enumerate(sizes, -len(sizes)):
        x = np.take(x, place(x.shape[axis], size), axis)
    return x


def at_edges(size, count):
    return np.arange(count) * size // count


def at_centres(size, count):
    return (2 * np.arange(count) + 1) * size // (2 * count)


def scaled(x, height, width):
    return int(x.shape[-2] * height), int(x.shape[-1] * width)


def upsample_nearest(x, scale_factor_height=1, scale_factor_width=1):
    return nearest(x, at_edges, *scaled(x, scale_factor_height, scale_factor_width))


def upsample_linear(x, scale_factor_height=1, scale_factor_width=1, align_corners=True, half_pixel_centers=None):
    centres = not align_corners if half_pixel_centers is None else half_pixel_centers
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if centres else "DEFAULT"
    return linear(x, mode, *scaled(x, scale_factor_height, scale_factor_width))


def resize_linear(x, target_size_height=1, target_size_width=1, sampling_mode="DEFAULT"):
    return linear(x, sampling_mode, target_size_height, target_size_width)


def resize(x, shape, resized_dims, interpolation_mode="LINEAR", sampling_mode="DEFAULT"):
    count = int(resized_dims)
    sizes = [old if new == 0 else new for old, new in zip(x.shape[-count:], shape[-count:], strict=True)]
    if interpolation_mode == "LINEAR":
        return linear(x, sampling_mode, *sizes)
    if sampling_mode == "DEFAULT":
        return nearest(x, at_centres, *sizes)
    return nearest(x, lambda size, new: np.floor(grid(sampling_mode, new, 0, size - 1) + 0.5).astype(int), *sizes)


def crop_resize(
    x,
    boxes,
    box_indices=None,
    target_height=1,
    target_width=1,
    normalized_coordinates=False,
    spatial_scale=1.0,
    box_coordinate_mode="CORNERS_HEIGHT_FIRST",
    sampling_mode="DEFAULT",
    pad_value=0.0,
):
    height, width = x.shape[2:]
    result = np.empty((len(boxes), x.shape[1], target_height, target_width))
    for index, box in enumerate(boxes.astype(np.float64) * spatial_scale):
        if box_coordinate_mode.endswith("WIDTH_FIRST"):
            box = box[[1, 0, 3, 2]]
        if normalized_coordinates:
            box = box * [height - 1, width - 1, height - 1, width - 1]
        first, last = (
            (box[:2] - box[2:] / 2, box[:2] + box[2:] / 2) if "CENTER" in box_coordinate_mode else (box[:2], box[2:])
        )
        rows, columns = (
            grid(sampling_mode, count, first[axis], last[axis])
            for axis, count in enumerate((target_height, target_width))
        )
        image = x[index if box_indices is None else box_indices[index]]
        inside = ((rows >= 0) & (rows <= height - 1))[:, None] & ((columns >= 0) & (columns <= width - 1))
        mixed = resized(resized(image, 1, rows.clip(0, height - 1)), 2, columns.clip(0, width - 1))
        result[index] = np.where(inside, mixed, pad_value)
    return result


# Sampling


def tap(image, row, column, padding_mode, padding_value):
    """The pixels at whole positions, wherever they lie."""
    places = []
    inside = np.ones(row.shape, bool)
    for index, size in ((row, image.shape[1]), (column, image.shape[2])):
        inside &= (index >= 0) & (index < size)
        if padding_mode == "reflection" and size > 1:
            index = size - 1 - np.abs(index % (2 * size - 2) - (size - 1))
        elif padding_mode == "symmetric":
            index = np.minimum(index % (2 * size), 2 * size - 1 - index % (2 * size))
        places.append(index.clip(0, size - 1))
    pixels = image[:, places[0], places[1]]
    return np.where(inside, pixels, padding_value) if padding_mode == "constant" else pixels


def sample(image, x, y, sampling_mode, padding_mode, padding_value):
    if sampling_mode == "nearest":
        # Halves go up: coremltools' TestResample has 33 for 6.5 in a mirrored row of 33 and 44.
        x, y = (np.floor(each + 0.5).astype(int) for each in (x, y))
        return tap(image, y, x, padding_mode, padding_value)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - left, y - top
    return sum(
        tap(image, top + i, left + j, padding_mode, padding_value)
        * (down if i else 1 - down)
        * (right if j else 1 - right)
        for i in (0, 1)
        for j in (0, 1)
    )


def pixels(coordinate, size, coordinates_mode, align_corners):
    if coordinates_mode == "unnormalized":
        return coordinate
    part = coordinate if coordinates_mode == "normalized_zero_to_one" else (coordinate + 1) / 2
    return part * (size - 1) if align_corners else part * size - 0.5


def resample(x, coordinates, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners):
    return np.stack(
        [
            sample(
                image,
                pixels(points[..., 0].astype(np.float64), x.shape[3], coordinates_mode, align_corners),
                pixels(points[..., 1].astype(np.float64), x.shape[2], coordinates_mode, align_corners),
                sampling_mode,
                padding_mode,
                padding_value,
            )
            for image, points in zip(x, coordinates, strict=True)
        ]
    )


def affine(x, transform_matrix, output_height, output_width, **modes):
    mode, corners = modes["coordinates_mode"], modes["align_corners"]

    def positions(count):
        if mode == "unnormalized":
            return np.arange(count, dtype=np.float64)
        parts = (
            (np.arange(count) + 0.5) / count
            if not corners
            else np.linspace(0, 1, count)
            if count > 1
            else np.full(1, 0.5)
        )
        return parts if mode == "normalized_zero_to_one" else 2 * parts - 1

    rows, columns = np.meshgrid(positions(output_height), positions(output_width), indexing="ij")
    matrices = transform_matrix.reshape(-1, 2, 3) * np.ones((len(x), 1, 1))
    points = np.einsum("bij,jhw->bhwi", matrices, np.stack([columns, rows, np.ones_like(rows)]))
    return resample(x, points, **modes)


RESIZING = [
    *one(
        "upsample_nearest_neighbor", upsample_nearest, x=normal(1, 2, 3, 5), scale_factor_height=2, scale_factor_width=3
    ),
    *one(
        "upsample_nearest_neighbor",
        upsample_nearest,
        x=normal(2, 3, 5),
        scale_factor_height=1.5,
        scale_factor_width=2.5,
    ),
    *one(
        "upsample_nearest_neighbor",
        upsample_nearest,
        x=normal(1, 2, 4, 6),
        scale_factor_height=0.5,
        scale_factor_width=1.0,
    ),
    *one("upsample_nearest_neighbor", upsample_nearest, x=normal(1, 1, 2, 2)),
    *one(
        "resize_nearest_neighbor",
        lambda x, target_size_height, target_size_width: nearest(x, at_centres, target_size_height, target_size_width),
        x=normal(1, 2, 3, 5),
        target_size_height=7,
        target_size_width=2,
    ),
    *one(
        "resize_nearest_neighbor",
        lambda x, target_size_height, target_size_width: nearest(x, at_centres, target_size_height, target_size_width),
        x=normal(2, 1, 3, 2, 4),
        target_size_height=2,
        target_size_width=9,
    ),
    *one("upsample_bilinear", upsample_linear, x=normal(1, 2, 3, 5), scale_factor_height=2, scale_factor_width=3),
    *one(
        "upsample_bilinear",
        upsample_linear,
        x=normal(1, 2, 3, 5),
        scale_factor_height=2,
        scale_factor_width=3,
        align_corners=False,
    ),
    *one(
        "upsample_bilinear",
        upsample_linear,
        x=normal(2, 3, 5),
        scale_factor_height=2.5,
        scale_factor_width=1.3,
        align_corners=False,
    ),
    *one(
        "upsample_bilinear",
        upsample_linear,
        x=normal(1, 2, 3, 5),
        scale_factor_height=2,
        scale_factor_width=2,
        align_corners=False,
        half_pixel_centers=False,
    ),
    *one(
        "upsample_bilinear",
        upsample_linear,
        x=normal(1, 2, 4, 6),
        scale_factor_height=0.5,
        scale_factor_width=0.5,
        align_corners=False,
    ),
    *[
        case
        for mode in MODES
        for case in [
            *one(
                "resize_bilinear",
                resize_linear,
                x=normal(1, 2, 3, 5),
                target_size_height=7,
                target_size_width=4,
                sampling_mode=mode,
            ),
            *one(
                "resize_bilinear",
                resize_linear,
                x=normal(2, 3, 5, 4),
                target_size_height=1,
                target_size_width=8,
                sampling_mode=mode,
            ),
            *one(
                "resize_bilinear",
                resize_linear,
                x=normal(2, 1, 3),
                target_size_height=3,
                target_size_width=3,
                sampling_mode=mode,
            ),
            *one(
                "resize",
                resize,
                x=normal(1, 3, 4, 5),
                shape=[1, 3, 6, 7],
                resized_dims=constant(np.uint32(2)),
                sampling_mode=mode,
            ),
            *one("resize", resize, x=normal(3, 5), shape=[8], resized_dims=constant(np.uint32(1)), sampling_mode=mode),
            *one(
                "resize",
                resize,
                x=normal(2, 3, 4, 5),
                shape=[5, 0, 3],
                resized_dims=constant(np.uint32(3)),
                sampling_mode=mode,
            ),
            *one(
                "resize",
                resize,
                x=normal(1, 3, 4, 5),
                shape=[7, 3],
                resized_dims=constant(np.uint32(2)),
                interpolation_mode="NEAREST_NEIGHBOR",
                sampling_mode=mode,
            ),
        ]
    ],
    *one("resize", resize, x=normal(2, 3, 4, 5), shape=[3, 2, 6, 4], resized_dims=constant(np.uint32(4))),
    *one("resize", resize, x=normal(4), shape=[7], resized_dims=constant(np.uint32(1))),
    *one(
        "resize",
        resize,
        x=whole(2, 3, 5),
        shape=[4, 4],
        resized_dims=constant(np.uint32(2)),
        interpolation_mode="NEAREST_NEIGHBOR",
    ),
    # The numbers that Core ML's documentation gives for an axis of two pixels.
    *[
        case
        for mode, expected in {
            "UNALIGN_CORNERS": [0, 0.1, 0.5, 0.9, 1],
            "STRICT_ALIGN_CORNERS": [0, 0.25, 0.5, 0.75, 1],
            "ALIGN_CORNERS": [0, 0.25, 0.5, 0.75, 1],
            "DEFAULT": [0, 0.4, 0.8, 1, 1],
            "OFFSET_CORNERS": [0.1, 0.3, 0.5, 0.7, 0.9],
        }.items()
        for case in one(
            "resize_bilinear",
            lambda expected=expected, **_: np.array([[expected]], np.float64),
            f"documented-{mode}",
            x=np.array([[[0, 1]]], np.float32),
            target_size_height=1,
            target_size_width=5,
            sampling_mode=mode,
        )
    ],
    *program(
        "resize_bilinear-channels-last",
        """t = transpose(x = x, perm = [0, 3, 1, 2]);
        u = resize_bilinear(x = t, target_size_height = 5, target_size_width = 7, sampling_mode = "UNALIGN_CORNERS");
        y = transpose(x = u, perm = [0, 2, 3, 1]);""",
        lambda x: linear(x.transpose(0, 3, 1, 2), "UNALIGN_CORNERS", 5, 7).transpose(0, 2, 3, 1),
        x=normal(2, 3, 4, 19),
    ),
    *program(
        "upsample_nearest_neighbor-channels-last",
        """t = transpose(x = x, perm = [0, 3, 1, 2]);
        y = upsample_nearest_neighbor(x = t, scale_factor_height = 2, scale_factor_width = 2);""",
        lambda x: upsample_nearest(x.transpose(0, 3, 1, 2), 2, 2),
        x=normal(2, 3, 4, 5),
    ),
]

BOXES = np.array([[0, 1, 2, 3.5], [1, 0.5, 2.5, 2], [0, 0, 3, 4]], np.float32)
CENTRED = np.array([[1.5, 2, 2, 3], [1, 1.5, 1, 2.5]], np.float32)
IMAGES = np.array([1, 0, 1], np.int32)

CROPPING = [
    *one(
        "crop",
        lambda x, crop_height, crop_width: x[..., 1:3, 2:6],
        x=normal(2, 4, 6),
        crop_height=[1, 1],
        crop_width=[2, 0],
    ),
    *one(
        "crop",
        lambda x, crop_height, crop_width: x[..., 0:1, 0:5],
        x=normal(1, 2, 3, 5),
        crop_height=[0, 2],
        crop_width=[0, 0],
    ),
    *[
        case
        for mode in MODES
        for case in [
            *one(
                "crop_resize",
                crop_resize,
                x=normal(2, 3, 4, 5),
                boxes=BOXES,
                box_indices=IMAGES,
                target_height=3,
                target_width=5,
                sampling_mode=mode,
            ),
            *one(
                "crop_resize",
                crop_resize,
                x=normal(2, 1, 4, 5),
                boxes=BOXES[:2],
                target_height=1,
                target_width=2,
                sampling_mode=mode,
                box_coordinate_mode="CORNERS_WIDTH_FIRST",
            ),
        ]
    ],
    *one(
        "crop_resize",
        crop_resize,
        x=normal(2, 2, 4, 5),
        boxes=CENTRED,
        target_height=2,
        target_width=3,
        sampling_mode="ALIGN_CORNERS",
        box_coordinate_mode="CENTER_SIZE_HEIGHT_FIRST",
    ),
    *one(
        "crop_resize",
        crop_resize,
        x=normal(2, 2, 4, 5),
        boxes=CENTRED,
        target_height=2,
        target_width=3,
        sampling_mode="OFFSET_CORNERS",
        box_coordinate_mode="CENTER_SIZE_WIDTH_FIRST",
    ),
    *one(
        "crop_resize",
        crop_resize,
        x=normal(2, 2, 5, 5),
        boxes=BOXES[:2] / 4,
        target_height=3,
        target_width=3,
        sampling_mode="ALIGN_CORNERS",
        normalized_coordinates=True,
    ),
    *one(
        "crop_resize",
        crop_resize,
        x=normal(1, 2, 5, 9),
        boxes=BOXES[2:] * 2,
        target_height=4,
        target_width=2,
        sampling_mode="OFFSET_CORNERS",
        spatial_scale=0.5,
    ),
    # Turned round, and over the edges.
    *one(
        "crop_resize",
        crop_resize,
        x=normal(1, 1, 4, 5),
        boxes=BOXES[2:, [2, 3, 0, 1]],
        target_height=4,
        target_width=5,
        sampling_mode="STRICT_ALIGN_CORNERS",
    ),
    *one(
        "crop_resize",
        crop_resize,
        x=normal(1, 2, 4, 5),
        boxes=BOXES[2:] * 2 - 1,
        target_height=4,
        target_width=5,
        sampling_mode="ALIGN_CORNERS",
        pad_value=-3.0,
    ),
    *one(
        "crop_resize",
        crop_resize,
        x=normal(2, 2, 4, 5),
        boxes=np.array([[1, 1, 2, 3]], np.uint16),
        box_indices=np.array([1], np.uint16),
        target_height=3,
        target_width=4,
        sampling_mode="ALIGN_CORNERS",
    ),
    # A published case of Core ML's tools: the middle of 4 x 4 numbers.
    *one(
        "crop_resize",
        lambda **_: np.array([[[[6, 7], [10, 11]]]], np.float64),
        "published",
        x=np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4),
        boxes=np.array([[1, 1, 2, 2]], np.float32),
        target_height=2,
        target_width=2,
        sampling_mode="ALIGN_CORNERS",
    ),
]

FAR = np.random.default_rng(5).integers(-12, 17, (2, 3, 4, 2)).astype(np.float32) / 4
NEAR = np.random.default_rng(6).integers(-12, 13, (2, 3, 4, 2)).astype(np.float32) / 8
MATRIX = np.array([[0.5, 0.25, 0.125, -0.5, 1, 0.25]], np.float32)
MATRICES = np.array([[1, 0, 0, 0, 1, 0], [0, -1, 0.25, 1, 0.5, 0]], np.float32)

SAMPLING = [
    *[
        case
        for sampling in ("bilinear", "nearest")
        for padding in ("constant", "border", "reflection", "symmetric")
        for case in [
            *one(
                "resample",
                resample,
                x=normal(2, 3, 4, 5),
                coordinates=FAR,
                sampling_mode=sampling,
                padding_mode=padding,
                padding_value=0.5,
                coordinates_mode="unnormalized",
                align_corners=False,
            ),
            *[
                case
                for mode in ("normalized_minus_one_to_one", "normalized_zero_to_one")
                for corners in (True, False)
                for case in one(
                    "resample",
                    resample,
                    x=normal(2, 1, 5, 9),
                    coordinates=NEAR,
                    sampling_mode=sampling,
                    padding_mode=padding,
                    padding_value=0.0,
                    coordinates_mode=mode,
                    align_corners=corners,
                )
            ],
        ]
    ],
    *one(
        "resample",
        resample,
        x=normal(1, 2, 4, 5),
        coordinates=whole(1, 2, 3, 2, low=-2, high=5),
        sampling_mode="bilinear",
        padding_mode="border",
        padding_value=0.0,
        coordinates_mode="unnormalized",
        align_corners=True,
    ),
    *one(
        "resample",
        resample,
        x=normal(1, 2, 4, 5),
        coordinates=whole(1, 2, 3, 2, low=-2, high=5).astype(np.int8),
        sampling_mode="nearest",
        padding_mode="symmetric",
        padding_value=0.0,
        coordinates_mode="unnormalized",
        align_corners=True,
    ),
    # Published: the four builds of coremltools' TestResample, at places far outside and halfway between pixels.
    *[
        case
        for sampling, padding, value, mode, corners, answer in [
            ("bilinear", "constant", 6.17, "normalized_minus_one_to_one", True, [8.585, 6.17, 27.5, 6.17]),
            ("nearest", "border", -1.0, "unnormalized", False, [11, 11, 11, 44]),
            ("bilinear", "reflection", -1.0, "normalized_zero_to_one", True, [22, 36.3, 11, 34.1]),
            ("nearest", "symmetric", -1.0, "normalized_zero_to_one", False, [22, 33, 11, 33]),
        ]
        for case in one(
            "resample",
            lambda answer=answer, **_: np.array(answer, np.float64).reshape(1, 1, 2, 2),
            f"published-{sampling}-{padding}",
            x=np.array([11, 22, 33, 44], np.float32).reshape(1, 1, 2, 2),
            coordinates=np.array([-1, -2, -3.7, -1, 0, 0, 3.5, 1.2], np.float32).reshape(1, 2, 2, 2),
            sampling_mode=sampling,
            padding_mode=padding,
            padding_value=value,
            coordinates_mode=mode,
            align_corners=corners,
            tolerance=1e-4,
        )
    ],
    *program(
        "resample-channels-last",
        """t = transpose(x = x, perm = [0, 3, 1, 2]);
        y = resample(x = t, coordinates = c, sampling_mode = "bilinear", padding_mode = "border", padding_value = 0.0,
            coordinates_mode = "unnormalized", align_corners = false);""",
        lambda x, c: resample(x.transpose(0, 3, 1, 2), c, "bilinear", "border", 0, "unnormalized", False),
        x=normal(2, 4, 5, 3),
        c=FAR,
    ),
    *one(
        "affine",
        affine,
        x=normal(2, 3, 5, 9),
        transform_matrix=MATRIX,
        output_height=4,
        output_width=6,
        sampling_mode="bilinear",
        padding_mode="constant",
        padding_value=0.0,
        coordinates_mode="normalized_minus_one_to_one",
        align_corners=True,
        half=1e-2,
    ),
    *one(
        "affine",
        affine,
        x=normal(2, 3, 5, 9),
        transform_matrix=MATRICES,
        output_height=5,
        output_width=9,
        sampling_mode="bilinear",
        padding_mode="constant",
        padding_value=0.0,
        coordinates_mode="normalized_minus_one_to_one",
        align_corners=True,
        half=1e-2,
    ),
    *one(
        "affine",
        affine,
        x=normal(2, 3, 5, 9),
        transform_matrix=MATRICES,
        output_height=1,
        output_width=3,
        sampling_mode="bilinear",
        padding_mode="constant",
        padding_value=0.0,
        coordinates_mode="normalized_minus_one_to_one",
        align_corners=True,
        half=1e-2,
    ),
]

CASES = [*RESIZING, *CROPPING, *SAMPLING]
