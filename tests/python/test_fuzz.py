"""Random programs of one op: each either runs or is refused by an exception; none ends the process."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import ROOT

PROGRAMS = int(os.environ.get("MARTLET_FUZZ", "1500"))

FUZZ = """
import random, sys
import numpy as np
import martlet

WORDS = ["valid", "same", "same_lower", "custom", "EXACT", "TANH_APPROXIMATION", "constant", "reflect", "replicate",
         "forward", "reverse", "bidirectional", "add", "update", "mul", "fp32", "int32", "fp16", "bool", "tanh", "sigmoid",
         "DEFAULT", "ALIGN_CORNERS", "STRICT_ALIGN_CORNERS", "UPSAMPLE", "OFFSET_CORNERS", "ab,bc->ac", "bilinear",
         "nearest", "zeros", "border", "CENTER_SIZE_HEIGHT_FIRST", "linear", "relu", "nonsense"]
TYPES = {"fp32": "float32", "int32": "int32", "bool": "bool", "fp16": "float16", "int8": "int8", "uint8": "uint8",
         "int16": "int16", "uint16": "uint16"}

random.seed(int(sys.argv[1]))
numbers = np.random.default_rng(int(sys.argv[1]))
ops = [op for op in martlet.ops()]
device = ["cpu", "cpu:declared", "cpu:portable"]
ran = 0

def shape(base):
    roll = random.random()
    if roll < 0.6:
        return list(base)
    if roll < 0.75:
        return [size if random.random() < 0.6 else 1 for size in base]
    return [random.choice([0, 1, 1, 2, 3, 4, 5]) for _ in range(random.randint(0, 5))]

def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value + '"'
    if isinstance(value, list):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    return repr(value)

def whole():
    return random.choice([-2, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4, 7, 2**31 - 1])

for number in range(int(sys.argv[2])):
    op = random.choice(ops)
    base = [random.choice([1, 2, 3, 4, 6]) for _ in range(random.choice([1, 2, 3, 3, 4, 4, 4, 5]))]
    main = random.choice(["fp32", "fp32", "fp32", "fp16", "int32"])
    declared, words, inputs = [], [], {}

    def tensor(parameter, index=""):
        wanted = [name for name in parameter["dtypes"] if name in TYPES]
        dtype = main if main in wanted else random.choice(wanted or ["fp32"])
        size = shape(base)
        if dtype in ("fp32", "fp16"):
            array = (numbers.standard_normal(size) * 2).astype(TYPES[dtype])
        else:
            array = numbers.integers(-3 if dtype[0] == "i" else 0, 2 if dtype == "bool" else 5, size).astype(TYPES[dtype])
        name = f"{parameter['name']}{index}"
        if random.random() < 0.3:
            values = [bool(v) if dtype == "bool" else v.item() for v in array.ravel()]
            text = f"const()[val = tensor<{dtype}, [{', '.join(map(str, size))}]>({literal(values)})]"
            return f"    {name} = {text};", name
        inputs[name] = array
        declared.append(f"tensor<{dtype}, [{', '.join(map(str, size))}]> {name}")
        return "", name

    lines = []
    for parameter in op["parameters"]:
        if parameter["optional"] and random.random() < 0.5:
            continue
        if parameter["list"]:
            made = [tensor(parameter, index) for index in range(random.randint(1, 3))]
            lines += [line for line, _ in made if line]
            words.append(f"{parameter['name']} = ({', '.join(name for _, name in made)})")
        elif "string" in parameter["dtypes"]:
            words.append(f"{parameter['name']} = {literal(random.choice(WORDS))}")
        elif parameter["dtypes"] == ["bool"]:
            many = [random.random() < 0.5 for _ in range(len(base))]
            words.append(f"{parameter['name']} = {literal(random.choice([many[0], many]))}")
        elif not any(name in parameter["dtypes"] for name in ("fp32", "fp16")) and random.random() < 0.9:
            many = [whole() for _ in range(random.choice([1, len(base), len(base), 2 * len(base), max(len(base) - 2, 1)]))]
            words.append(f"{parameter['name']} = {literal(random.choice([many[0], many, many]))}")
        elif parameter["constant"] and random.random() < 0.5:
            words.append(f"{parameter['name']} = {literal(random.choice([0.0, 0.5, 1.0, -1.0, 1e30]))}")
        else:
            line, name = tensor(parameter)
            if line:
                lines.append(line)
            words.append(f"{parameter['name']} = {name}")
    body = "\\n".join(lines)
    text = f"program(1.3) {{ func main<ios18>({', '.join(declared)}) {{\\n{body}\\n    y = {op['name']}({', '.join(words)});\\n}} -> (y); }}"
    print(text, file=sys.stderr, flush=True)
    try:
        martlet.parse(text, device=random.choice(device)).predict(inputs)
        ran += 1
    except martlet.BugError:
        raise
    except (martlet.Error, MemoryError):
        pass
print(ran)
"""


def test_random_programs_run_or_are_refused():
    command = [sys.executable, "-c", FUZZ, "11", str(PROGRAMS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    last = done.stderr[-3000:]
    assert done.returncode == 0, f"ended with {done.returncode} at the last of:\n{last}"
    assert int(done.stdout) > PROGRAMS // 20, "hardly any of the programs ran"
