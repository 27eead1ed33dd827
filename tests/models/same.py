"""Asks coremltools whether two packages hold the same program: one it wrote, and one Martlet wrote after reading that.

python tests/models/same.py original.mlpackage written.mlpackage
"""

import sys

import coremltools as ct
import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load


def read(package):
    spec = ct.utils.load_spec(package)
    return spec, load(spec, spec.specificationVersion, package + "/Data/com.apple.CoreML/weights")


def listed(bound):
    return list(bound) if isinstance(bound, (list, tuple)) else [bound]


def differences(original, written):
    """Sentences; constants are compared by their elements, other values by their names."""
    (spec, program), (other_spec, other_program) = read(original), read(written)
    for part in ("input", "output", "state"):
        if list(getattr(spec.description, part)) != list(getattr(other_spec.description, part)):
            yield f"the {part}s differ"
    for name, function in program.functions.items():
        pair = [[op for op in f.operations if op.op_type != "const"] for f in (function, other_program.functions[name])]
        if [op.op_type for op in pair[0]] != [op.op_type for op in pair[1]]:
            yield f"function {name}: the operations differ"
            continue
        for a, b in zip(*pair):
            if [(v.name, str(v.sym_type)) for v in a.outputs] != [(v.name, str(v.sym_type)) for v in b.outputs]:
                yield f"{a.name}: the outputs differ"
            for parameter, bound in a.inputs.items():
                for x, y in zip(listed(bound), listed(b.inputs.get(parameter))):
                    if x is None or y is None:
                        same = x is y
                    elif x.val is None:
                        same = x.name == y.name
                    else:
                        p, q = np.asarray(x.val), np.asarray(y.val)
                        same = p.dtype == q.dtype and np.array_equal(p, q)
                    if not same:
                        yield f"{a.name}: {parameter} differs"


if __name__ == "__main__":
    found = list(differences(*sys.argv[1:3]))
    print("\n".join(found) or "the same")
    sys.exit(1 if found else 0)
