"""Makes the small packages that ModelFilesTests reads, and what coremltools says they contain.

python tests/models/tiny.py tests/swift/ModelFilesTests/data
"""

import json
import pathlib
import shutil
import sys

import coremltools as ct
import coremltools.optimize
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.converters.mil.mil import types


def numbers(*shape):
    """Values that are exact in half precision, so that every precision tells the same."""
    return (np.arange(np.prod(shape)).reshape(shape) % 17 - 8).astype(np.float32) / 8


@mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))], opset_version=ct.target.iOS15)
def layers(x):
    y = mb.conv(x=x, weight=numbers(4, 3, 3, 3), bias=numbers(4), pad_type="same", name="conv")
    y = mb.relu(x=y, name="relu")
    y = mb.reduce_mean(x=y, axes=[2, 3], keep_dims=False, name="mean")
    return mb.softmax(x=y, axis=-1, name="probabilities")


@mb.program(input_specs=[mb.TensorSpec(shape=(2, 6))], opset_version=ct.target.iOS16)
def classified(x):
    y = mb.linear(x=x, weight=numbers(3, 6), bias=numbers(3), name="linear")
    y = mb.reduce_sum(x=y, axes=[0], keep_dims=True, name="sum")
    return mb.softmax(x=y, axis=-1, name="scores")


rows = ct.RangeDim(1, 4, 2, symbol="rows")


@mb.program(input_specs=[mb.TensorSpec(shape=(rows.symbol, 6)) for _ in "ab"], opset_version=ct.target.iOS17)
def flexible(a, b):
    y = mb.add(x=a, y=mb.mul(x=b, y=np.float32(0.5)), name="sum")
    return mb.clip(x=y, alpha=np.float32(-1), beta=np.float32(1), name="clipped")


@mb.program(input_specs=[mb.TensorSpec(shape=(1, 16))], opset_version=ct.target.iOS16)
def dense(x):
    return mb.relu(x=mb.linear(x=x, weight=numbers(16, 16), name="linear"), name="relu")


def compressed(target):
    """Weights of eight bits, which old targets keep as attributes and new ones as arguments."""
    model = ct.convert(dense, minimum_deployment_target=target, compute_precision=ct.precision.FLOAT32)
    how = ct.optimize.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=10)
    return ct.optimize.coreml.linear_quantize_weights(model, ct.optimize.coreml.OptimizationConfig(how))


def plain(value):
    """A constant as JSON: element type, shape, elements."""
    array = np.asarray(value)
    name = {"float16": "fp16", "float32": "fp32"}.get(str(array.dtype), str(array.dtype))
    if array.dtype.kind in "US":
        name = "string"
    return {"dtype": name, "shape": list(array.shape), "values": array.flatten().tolist()}


def told(package):
    """What coremltools reads back from a package."""
    spec = ct.utils.load_spec(str(package))
    program = load(spec, spec.specificationVersion, str(package / "Data/com.apple.CoreML/weights"))
    constants, operations = {}, []
    for operation in program.functions["main"].operations:
        if operation.op_type == "const":
            constants[operation.outputs[0].name] = plain(operation.outputs[0].val)
            continue
        arguments = {}
        for name, bound in operation.inputs.items():
            bound = bound if isinstance(bound, (list, tuple)) else [bound]
            arguments[name] = [value.name for value in bound]
        outputs = []
        for value in operation.outputs:
            shape = list(value.shape) if types.is_tensor(value.sym_type) else []
            dtype = "dict" if types.is_dict(value.sym_type) else types.builtin_to_string(value.dtype)
            outputs.append(
                {"name": value.name, "dtype": dtype, "shape": [d if isinstance(d, int) else -1 for d in shape]}
            )
        operations.append({"op": operation.op_type, "arguments": arguments, "outputs": outputs})
    return {
        "specificationVersion": spec.specificationVersion,
        "inputs": [feature.name for feature in spec.description.input],
        "outputs": [feature.name for feature in spec.description.output],
        "operations": operations,
        "constants": constants,
    }


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    labels = ct.ClassifierConfig(["cat", "dog", "bird"])
    half, single = ct.precision.FLOAT16, ct.precision.FLOAT32
    shapes = [ct.TensorType(name=name, shape=(rows, 6)) for name in "ab"]
    models = {
        "layers": ct.convert(layers, minimum_deployment_target=ct.target.iOS15, compute_precision=half),
        "classified": ct.convert(
            classified, minimum_deployment_target=ct.target.iOS16, compute_precision=single, classifier_config=labels
        ),
        "flexible": ct.convert(
            flexible, minimum_deployment_target=ct.target.iOS17, compute_precision=single, inputs=shapes
        ),
    }
    models["compressed16"] = compressed(ct.target.iOS16)
    models["compressed18"] = compressed(ct.target.iOS18)
    models["layers"].author = "Martlet"
    models["layers"].short_description = "three layers"
    models["layers"].user_defined_metadata["purpose"] = "tests"
    expected = {}
    for name, model in models.items():
        package = folder / f"{name}.mlpackage"
        shutil.rmtree(package, ignore_errors=True)
        model.save(str(package))
        # coremltools invents the names of constants inside compressed weights: nothing to compare with.
        if not name.startswith("compressed"):
            expected[name] = told(package)
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
