"""Makes the small packages that the tests of states, functions, images and packed weights read.

python tests/models/features.py tests/python/data

coremltools and torch write them; what they compute is said again with NumPy in the tests.
"""

import pathlib
import shutil
import sys
import tempfile

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import torch
from coremltools.converters.mil import Builder as mb

HALF, SINGLE = ct.precision.FLOAT16, ct.precision.FLOAT32


class Attention(torch.nn.Module):
    """One head of attention over a cache of six places; each call fills the next one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, 6, 4))
        self.register_buffer("values", torch.zeros(1, 6, 4))

    def forward(self, query, mask):
        # The width of the mask says how many places are filled, this one included.
        end = mask.shape[-1]
        self.keys[:, end - 1 : end, :] = query * 0.5
        self.values[:, end - 1 : end, :] = query + 1
        scores = query @ self.keys[:, :end, :].transpose(1, 2) + mask
        return torch.softmax(scores, dim=-1) @ self.values[:, :end, :]


def cache():
    filled = ct.RangeDim(1, 6, 1)
    traced = torch.jit.trace(Attention().eval(), (torch.zeros(1, 1, 4), torch.zeros(1, 1, 3)))
    states = [ct.StateType(ct.TensorType(shape=(1, 6, 4), dtype=np.float16), name=name) for name in ("keys", "values")]
    return ct.convert(
        traced,
        inputs=[
            ct.TensorType("query", shape=(1, 1, 4), dtype=np.float16),
            ct.TensorType("mask", shape=(1, 1, filled), dtype=np.float16),
        ],
        outputs=[ct.TensorType("attended", dtype=np.float16)],
        states=states,
        minimum_deployment_target=ct.target.iOS18,
    )


def numbers(*shape):
    return ((np.arange(np.prod(shape)).reshape(shape) * 7) % 17 - 8).astype(np.float32) / 8


def functions(folder):
    """`plain` and `active` over one weight."""
    weight = numbers(16, 16)

    def converted(isActive):
        @mb.program(input_specs=[mb.TensorSpec(shape=(1, 16))], opset_version=ct.target.iOS18)
        def program(x):
            y = mb.linear(x=x, weight=weight, name="linear")
            return mb.relu(x=y, name="y") if isActive else mb.identity(x=y, name="y")

        return ct.convert(program, minimum_deployment_target=ct.target.iOS18, compute_precision=SINGLE)

    described = ct.utils.MultiFunctionDescriptor()
    for name, isActive in {"plain": False, "active": True}.items():
        path = f"{folder}/{name}.mlpackage"
        converted(isActive).save(path)
        described.add_function(path, src_function_name="main", target_function_name=name)
    described.default_function_name = "plain"
    return described


class Tint(torch.nn.Module):
    def forward(self, picture):
        return torch.clamp(picture * torch.tensor([0.5, 1.0, 2.0]).reshape(1, 3, 1, 1), 0, 255)


class Brighter(torch.nn.Module):
    def forward(self, picture):
        return picture + 1


def tint(shape, layout, **image):
    """Red halved and blue doubled, of channels in this order."""
    return ct.convert(
        torch.jit.trace(Tint(), torch.zeros(1, 3, 4, 6)),
        inputs=[ct.ImageType("picture", shape=shape, color_layout=layout, **image)],
        outputs=[ct.ImageType("tinted", color_layout=layout)],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=SINGLE,
    )


def gray():
    return ct.convert(
        torch.jit.trace(Brighter(), torch.zeros(1, 1, 4, 6)),
        inputs=[ct.ImageType("picture", shape=(1, 1, 4, 6), color_layout=ct.colorlayout.GRAYSCALE)],
        outputs=[ct.ImageType("brighter", color_layout=ct.colorlayout.GRAYSCALE_FLOAT16)],
        minimum_deployment_target=ct.target.iOS17,
    )


def sizes():
    """Shapes out of a list."""
    return ct.convert(
        torch.jit.trace(Brighter(), torch.zeros(1, 2)),
        inputs=[ct.TensorType("picture", shape=ct.EnumeratedShapes([(1, 2), (1, 5), (3, 2)], default=(1, 5)))],
        outputs=[ct.TensorType("brighter")],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=SINGLE,
    )


def regions(width):
    """Crops as opsets before iOS 17 have them: boxes for every image, or with the number of their image in front."""
    # coremltools declares a result of one crop for each image in both forms; with numbers there is one in all.
    batch = 2 if width == 4 else 1
    specs = [mb.TensorSpec(shape=(batch, 3, 5, 6)), mb.TensorSpec(shape=(3, 1, width, 1, 1))]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS16)
    def program(x, roi):
        return mb.crop_resize(
            x=x, roi=roi, target_height=2, target_width=3, sampling_mode="ALIGN_CORNERS", pad_value=7.0, name="y"
        )

    return ct.convert(program, minimum_deployment_target=ct.target.iOS16, compute_precision=SINGLE)


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.LSTM(3, 4, bidirectional=True)

    def forward(self, x):
        states, (hidden, cell) = self.layer(x)
        return states, hidden, cell


def bidirectional():
    return ct.convert(
        torch.jit.trace(Recurrent(), torch.zeros(5, 2, 3)),
        inputs=[ct.TensorType("x", shape=(5, 2, 3))],
        outputs=[ct.TensorType(name) for name in ("states", "hidden", "cell")],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=SINGLE,
    )


class Twice(torch.nn.Module):
    def forward(self, x):
        y = x + 1
        return y, y


def twice():
    return ct.convert(
        torch.jit.trace(Twice(), torch.zeros(2, 3)),
        inputs=[ct.TensorType("x", shape=(2, 3))],
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=SINGLE,
    )


@mb.program(input_specs=[mb.TensorSpec(shape=(1, 32))], opset_version=ct.target.iOS18)
def dense(x):
    return mb.linear(x=x, weight=numbers(8, 32), name="y")


def packed(how):
    model = ct.convert(dense, minimum_deployment_target=ct.target.iOS18, compute_precision=SINGLE)
    config = cto.OptimizationConfig(how)
    act = cto.palettize_weights if isinstance(how, cto.OpPalettizerConfig) else cto.linear_quantize_weights
    return act(model, config)


def blocks(dtype, mode):
    return cto.OpLinearQuantizerConfig(
        mode=mode, dtype=dtype, granularity="per_block", block_size=8, weight_threshold=10
    )


def unpacked(model):
    """The weight that packed numbers stand for, as coremltools says it."""
    program = cto.decompress_weights(model)._mil_program
    return program.functions["main"].find_ops(op_type="linear")[0].weight.val


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    wide = ct.Shape((1, 3, ct.RangeDim(2, 8, 4), ct.RangeDim(3, 9, 6)))
    rgb, bgr = ct.colorlayout.RGB, ct.colorlayout.BGR
    models = {
        "cache": cache(),
        "tint": tint((1, 3, 4, 6), rgb),
        "tint_bgr": tint(wide, bgr),
        "tint_scaled": tint((1, 3, 4, 6), rgb, scale=2.0, bias=[-4.0, 0.0, 8.0]),
        "gray": gray(),
        "sizes": sizes(),
        "regions4": regions(4),
        "regions5": regions(5),
        "bidirectional": bidirectional(),
        "twice": twice(),
        "int4": packed(blocks("int4", "linear_symmetric")),
        "uint4": packed(blocks("uint4", "linear")),
    }
    for bits in (1, 2, 3, 4, 6):
        models[f"palette{bits}"] = packed(cto.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=10))
    for name, model in models.items():
        package = folder / f"{name}.mlpackage"
        shutil.rmtree(package, ignore_errors=True)
        model.save(str(package))
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)
    with torch.no_grad():
        answer = Recurrent()(torch.tensor(x))
    np.savez_compressed(
        folder / "bidirectional.npz", x=x, **dict(zip(("states", "hidden", "cell"), (each.numpy() for each in answer)))
    )
    weights = {name: unpacked(model) for name, model in models.items() if name[:3] in ("int", "uin", "pal")}
    np.savez_compressed(folder / "unpacked.npz", **weights)
    with tempfile.TemporaryDirectory() as sources:
        shutil.rmtree(folder / "functions.mlpackage", ignore_errors=True)
        ct.utils.save_multifunction(functions(sources), str(folder / "functions.mlpackage"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
