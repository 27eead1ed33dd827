"""Makes the packages that `test_coreml.py` runs as they are: images, classes, a default.

python tests/apple/make_models.py tests/apple/data
"""

import pathlib
import shutil
import sys

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb

FULL = {"compute_precision": ct.precision.FLOAT32, "skip_model_load": True}


def image(channels, layout, given=None):
    """255 - x, image to image; the result's channels lie as `given` says."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, channels, 2, 4))], opset_version=ct.target.iOS16)
    def invert(x):
        return mb.sub(x=np.float32(255), y=x, name="y")

    return ct.convert(
        invert,
        inputs=[ct.ImageType("x", (1, channels, 2, 4), color_layout=layout)],
        outputs=[ct.ImageType("y", color_layout=given or layout)],
        minimum_deployment_target=ct.target.iOS16,
        **FULL,
    )


def labelled(names):
    """The softmax of x with a name for each of three classes."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3))], opset_version=ct.target.iOS16)
    def scores(x):
        return mb.softmax(x=x, axis=-1, name="scores")

    return ct.convert(
        scores, classifier_config=ct.ClassifierConfig(names), minimum_deployment_target=ct.target.iOS16, **FULL
    )


def default():
    """x times factor, which is 3 where it is left out."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3)), mb.TensorSpec(shape=(1, 3))], opset_version=ct.target.iOS16)
    def scaled(x, factor):
        return mb.mul(x=x, y=factor, name="y")

    threes = np.full((1, 3), 3, np.float32)
    return ct.convert(
        scaled,
        inputs=[ct.TensorType("x", (1, 3)), ct.TensorType("factor", (1, 3), default_value=threes)],
        minimum_deployment_target=ct.target.iOS16,
        **FULL,
    )


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    models = {
        "rgb": image(3, ct.colorlayout.RGB, ct.colorlayout.BGR),
        "bgr": image(3, ct.colorlayout.BGR, ct.colorlayout.RGB),
        "gray": image(1, ct.colorlayout.GRAYSCALE),
        "gray16": image(1, ct.colorlayout.GRAYSCALE_FLOAT16),
        "words": labelled(["red", "green", "blue"]),
        "numbers": labelled([7, 11, 13]),
        "default": default(),
    }
    for name, model in models.items():
        shutil.rmtree(target / f"{name}.mlpackage", ignore_errors=True)
        model.save(str(target / f"{name}.mlpackage"))
