"""The build hook of the wheel: has the library built, writes the cffi module, a function per op, martlet.pc."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

from cffi import FFI
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGE = HERE / "martlet"
HEADER = ROOT / "Sources" / "CHeader" / "include" / "martlet.h"
LIBRARY = "libmartlet.dylib" if sys.platform == "darwin" else "libmartlet.so"


class Hook(BuildHookInterface):
    """Runs before every wheel, editable ones included, and refuses to make an sdist.

    Environment: MARTLET_PREBUILT=1 takes the library that is there; MARTLET_COMPANIONS=0 leaves out the libraries
    beside it, for auditwheel to bring in.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            self.app.abort(
                "martlet has no sdist, since its Swift sources are outside python/: run ./build.sh wheel in a clone"
            )
        if os.environ.get("MARTLET_PREBUILT") != "1":
            self.build_library()
        write_abi(HEADER, PACKAGE / "_martlet_abi.py")
        write_stub(PACKAGE / "__init__.py", PACKAGE / "__init__.pyi")
        write_functional(op_table(HEADER, PACKAGE / LIBRARY), PACKAGE / "functional.py")
        (PACKAGE / "include").mkdir(exist_ok=True)
        shutil.copyfile(HEADER, PACKAGE / "include" / HEADER.name)
        (PACKAGE / "martlet.pc").write_text(PKG_CONFIG.format(self.metadata.version))
        libraries = [path.name for pattern in ("lib*.so*", "lib*.dylib") for path in PACKAGE.glob(pattern)]
        if os.environ.get("MARTLET_COMPANIONS") == "0":
            libraries = [LIBRARY]
        build_data["artifacts"] += [f"martlet/{name}" for name in libraries]
        build_data["pure_python"] = False
        build_data["tag"] = f"cp310-abi3-{platform_tag()}"

    def build_library(self) -> None:
        """Has build.sh build the library; what it lacks ends the build in one line."""
        script = ROOT / "build.sh"
        if not script.exists() or not HEADER.exists():
            self.app.abort(f"{script} is missing: martlet is built from a whole clone of its repository")
        # pip's isolated environment is for this hook, not for what build.sh runs.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            ["bash", str(script), "library"], env=environment, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"{script} ended with status {done.returncode}"]
            self.app.abort(lines[-1].removeprefix("error").strip())


PKG_CONFIG = """\
prefix=${{pcfiledir}}

Name: martlet
Description: Runs Core ML models
Version: {}
Cflags: -I${{prefix}}/include
Libs: -L${{prefix}} -Wl,-rpath,${{prefix}} -lmartlet
"""


def write_abi(header: Path, target: Path) -> None:
    """Writes cffi's out-of-line ABI module: plain Python, no compiler, nothing parsed at import."""
    ffi = FFI()
    ffi.cdef(declarations(header.read_text()))
    ffi.set_source("martlet._martlet_abi", None)
    ffi.emit_python_code(str(target))


def declarations(header: str) -> str:
    """The header without what only a preprocessor understands."""
    plain_c = re.sub(r"^#ifdef __cplusplus$.*?^#endif$", "", header, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^#.*$", "", plain_c, flags=re.MULTILINE)


def op_table(header: Path, library: Path) -> list[dict[str, Any]]:
    """The rows that a library has; the package itself cannot be imported before they are written."""
    ffi = FFI()
    ffi.cdef(declarations(header.read_text()))
    lib = ffi.dlopen(str(library))
    out = ffi.new("mlt_text **")
    if lib.mlt_ops(out):
        raise RuntimeError(f"{library} does not tell its ops: {ffi.string(lib.mlt_last_error()).decode()}")
    rows: list[dict[str, Any]] = json.loads(ffi.string(lib.mlt_text_chars(out[0])).decode())
    lib.mlt_release(out[0])
    return rows


# The public names


def write_stub(source: Path, target: Path) -> None:
    """Writes what type checkers read of the package, whose names are imported when they are first used."""
    constants = {"newaxis": "None", **dict.fromkeys(("e", "inf", "nan", "pi"), "float")}
    values: dict[str, Any] = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("NAMES", "MODULES", "PYTHONS_OWN"):
                values[name] = ast.literal_eval(node.value)
            elif name.startswith("__") and isinstance(node.value, ast.Constant):
                constants[name] = "str"
    names = {name: home for home, listed in values["NAMES"].items() for name in listed.split()}
    exported = sorted({*names, *values["MODULES"], *constants} - values["PYTHONS_OWN"])
    lines = [
        '"""The public names, for type checkers. Made at build from `NAMES` in __init__.py."""',
        *(f"from martlet import {each} as {each}" for each in values["MODULES"]),
        *(f"from martlet.{home} import {name} as {name}" for name, home in sorted(names.items())),
        *(f"{name}: {kind}" for name, kind in sorted(constants.items())),
        f"__all__ = {json.dumps(exported)}",
    ]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


# One function an op


def write_functional(rows: list[dict[str, Any]], target: Path) -> None:
    """Writes `martlet.functional`: one plain function for each op of the table."""
    names = sorted(row["name"] for row in rows)
    listed = "".join(f"    {json.dumps(name)},\n" for name in names)
    functions = [function(row) for row in sorted(rows, key=lambda row: str(row["name"]))]
    target.write_text("\n\n".join([FUNCTIONAL.format(listed), *functions]), encoding="utf-8")


FUNCTIONAL = '''"""Every op of the table as a function: tensors by position, constants by name. Made at build.

Tensors are `martlet.Tensor`s or whatever makes one: arrays, numbers, nested lists. Python's numbers take the element
type of the tensor beside them. What is None by default is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from martlet._arguments import TensorLike
from martlet._call import call as _call
from martlet.tensor import Tensor

__all__ = [
{}]


def __dir__() -> list[str]:
    return __all__
'''

# What the table does not say: which constants are lists or arrays, and which ops have several results.
LISTS = {
    "axes", "begin_mask", "block_shape", "crop_height", "crop_width", "dilations", "end_mask", "kernel_sizes",
    "output_shape", "pad", "perm", "squeeze_mask", "strides",
}  # fmt: skip
ARRAYS = ("bias", "crops", "paddings", "peephole", "scale", "weight", "zero_point")
SEVERAL = {
    "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale", "gru", "lstm", "non_maximum_suppression",
    "rnn", "split", "topk", "unique",
}  # fmt: skip


def function(row: dict[str, Any]) -> str:
    """The source of one op's function."""
    tensors = sorted((each for each in row["parameters"] if not each["constant"]), key=lambda each: each["optional"])
    constants = [each for each in row["parameters"] if each["constant"]]
    head = [declared(each) for each in tensors] + (["*"] if constants else []) + [declared(each) for each in constants]
    result = "tuple[Tensor, ...]" if row["name"] in SEVERAL else "Tensor"
    inputs = ", ".join(f'"{each["name"]}": {each["name"]}' for each in tensors)
    given = [f'"{row["name"]}"', f"{{{inputs}}}"] + [f"{each['name']}={each['name']}" for each in constants]
    return (
        f"def {row['name']}{bracketed(head)} -> {result}:\n"
        f"{textwrap.indent(documentation(row, tensors + constants), '    ')}\n"
        f"    return _call{bracketed(given, '    ')}\n"
    )


def bracketed(parts: list[str], indent: str = "") -> str:
    """Arguments in brackets, one a line where they are many."""
    line = f"({', '.join(parts)})"
    return line if len(line) < 70 else "(\n" + "".join(f"{indent}    {each},\n" for each in parts) + f"{indent})"


def declared(parameter: dict[str, Any]) -> str:
    """A parameter with its type and default."""
    kind = type_of(parameter)
    if not parameter["optional"]:
        return f"{parameter['name']}: {kind}"
    missing = " | None" if parameter["default"] is None else ""
    return f"{parameter['name']}: {kind}{missing} = {literal(parameter['default'])}"


def literal(value: Any) -> str:
    """A default as Python writes it, texts in double quotes."""
    return json.dumps(value) if isinstance(value, str) else repr(value)


def type_of(parameter: dict[str, Any]) -> str:
    """The Python type of a parameter."""
    name, dtypes = parameter["name"], set(parameter["dtypes"])
    if not parameter["constant"]:
        return "Sequence[TensorLike]" if parameter["list"] else "TensorLike"
    if dtypes == {"string"}:
        return "str"
    if parameter["default"] is None and (name.startswith(ARRAYS) or is_channelwise(parameter)):
        return "TensorLike"
    number = "bool" if dtypes == {"bool"} else "float" if any(each.startswith("fp") for each in dtypes) else "int"
    if any(each.startswith("complex") for each in dtypes):
        number = "TensorLike"
    return f"Sequence[{number}]" if name in LISTS else number


def is_channelwise(parameter: dict[str, Any]) -> bool:
    """Whether a constant is an array of numbers: its words begin with its shape."""
    return parameter["words"].startswith("[") and parameter["name"] not in LISTS


def documentation(row: dict[str, Any], parameters: list[dict[str, Any]]) -> str:
    """The docstring: the row's words, its parameters, what is raised."""
    lines = [f'"""{sentence(row["words"])}.', "", "Args:"]
    for each in parameters:
        words = f"{each['name']}: {each['words']}; {types_in_words(each['dtypes'])}."
        lines += textwrap.wrap(words, 112, initial_indent="    ", subsequent_indent="        ")
    core_ml = "" if row["core_ml"] else ["", "Core ML has no such op: Metal or the CPU runs it."]
    return "\n".join([*lines, *core_ml, "", *RAISES, '"""'])


def sentence(words: str) -> str:
    """Words with a capital letter in front, formulas as they are."""
    return words[0].upper() + words[1:] if words.split()[0].isalpha() and words[1:2].isalpha() else words


RAISES = (
    "Raises:",
    "    InvalidArgumentError: shapes or values do not fit.",
    "    WrongTypeError: an element type is none of these.",
    "    UnsupportedError: no device runs it.",
)

FAMILIES = {
    "integers": {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "floats": {"fp16", "fp32", "fp64"},
    "complex numbers": {"complex64", "complex128"},
}
NUMPY_NAMES = {"fp16": "float16", "fp32": "float32", "fp64": "float64", "string": "a text"}


def types_in_words(dtypes: list[str]) -> str:
    """Element types, whole families by their name."""
    rest, words = list(dtypes), []
    for name, family in FAMILIES.items():
        if family <= set(rest):
            words.append(name)
            rest = [each for each in rest if each not in family]
    words += [NUMPY_NAMES.get(each, each) for each in rest]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def platform_tag() -> str:
    """This platform; on Linux auditwheel finds out which others have everything that the libraries need."""
    if sys.platform == "linux":
        return f"linux_{platform.machine()}"
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
