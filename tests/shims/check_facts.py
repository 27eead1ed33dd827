"""Compares the stand-ins for Apple's frameworks with the facts tables: no symbol without a row that declares the same,
no row without a symbol. So an engine that compiles against the stand-ins uses what the pages say.

python tests/shims/check_facts.py [--modules .build-apple/release/Modules] [--json]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from facts import ROOT, TYPES, Fact, read

MODULES = ("CoreVideo", "Metal", "MetalPerformanceShaders", "MetalPerformanceShadersGraph", "CoreML")

# What Swift writes by itself, or what every object of Foundation's has.
IMPLICIT = re.compile(
    r"\.(rawValue|RawValue|hashValue|description|debugDescription|hash|ArrayLiteralElement|Element|"
    r"init\(rawValue:\)|hash\(into:\)|==\(_:_:\)|!=\(_:_:\)|isEqual\(_:\)|copy\(\)|copy\(with:\)|"
    r"errorDescription|localizedDescription|init\(coder:\)|encode\(with:\)|supportsSecureCoding)$"
)
# Raw types of enums stand after the colon, too; the symbol graph does not tell them.
RAW = re.compile(r"^U?Int(8|16|32|64)?$|^String$")


@dataclass
class Symbol:
    """One public symbol of a stand-in."""

    name: str
    declaration: str
    kind: str
    is_sendable: bool
    parents: set[str]
    is_implicit: bool = False
    """Whether Swift writes it by itself, or another class has it: it may have a row, but needs none."""


def target(swift: str) -> str:
    told = json.loads(subprocess.run([swift, "-print-target-info"], capture_output=True, check=True).stdout)
    return str(told["target"]["unversionedTriple"])


def extract(modules: Path, names: tuple[str, ...] = MODULES) -> dict[str, list[Symbol]]:
    """The public symbols of the modules in a folder, by module; modules that are not there are left out.

    Raises:
        FileNotFoundError: Swift's tools are not on the path.
        RuntimeError: A module cannot be read.
    """
    tool, swift = shutil.which("swift-symbolgraph-extract"), shutil.which("swiftc")
    if tool is None or swift is None:
        raise FileNotFoundError("swift-symbolgraph-extract is not on the path; it comes with Swift.")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if not (modules / f"{name}.swiftmodule").exists():
                continue
            command = [tool, "-module-name", name, "-I", str(modules), "-target", target(swift)]
            command += ["-minimum-access-level", "public", "-output-dir", folder, "-skip-inherited-docs"]
            # The C modules that stand-ins compute with.
            command += ["-I", str(ROOT / "Sources/CKernels/include"), "-I", str(ROOT / "Sources/COneDNN")]
            command += ["-Xcc", f"-I{ROOT / '.deps/onednn/include'}"]
            ended = subprocess.run(command, check=False, capture_output=True, text=True)
            if ended.returncode:
                raise RuntimeError(f"{name}: {ended.stderr.strip()}")
            found[name] = [
                symbol
                for path in sorted(Path(folder).glob(f"{name}*.symbols.json"))
                if path.name.split(".")[0].split("@")[0] == name
                for symbol in symbols(json.loads(path.read_text(encoding="utf-8")))
            ]
    return found


def symbols(graph: dict[str, Any]) -> list[Symbol]:
    """The symbols of one graph."""
    parents: dict[str, set[str]] = defaultdict(set)
    names = {each["identifier"]["precise"]: ".".join(each["pathComponents"]) for each in graph["symbols"]}
    for relation in graph["relationships"]:
        if relation["kind"] in ("conformsTo", "inheritsFrom"):
            parent = relation.get("targetFallback", "").rsplit(".", 1)[-1] or names.get(relation["target"], "")
            parents[relation["source"]].add(parent or relation["target"])
    found = []
    for each in graph["symbols"]:
        precise = each["identifier"]["precise"]
        name = ".".join(each["pathComponents"])
        if each["kind"]["identifier"] == "swift.func.op":
            continue
        declaration = "".join(part["spelling"] for part in each.get("declarationFragments", []))
        kind = each["kind"]["identifier"].removeprefix("swift.")
        is_implicit = "::SYNTHESIZED::" in precise or bool(IMPLICIT.search("." + name)) or "override " in declaration
        found.append(Symbol(name, declaration, kind, "Sendable" in parents[precise], parents[precise], is_implicit))
    return found


def plain(declaration: str) -> str:
    """A declaration in one form: no attributes, no access, one space between words."""
    text = re.sub(r"\b(unowned|nonisolated)\(unsafe\)", "", declaration)
    text = re.sub(r"@(?!Sendable|escaping|autoclosure|convention)\w+(\([^)]*\))?\s*", "", text)
    words = "public|open|final|nonisolated|convenience|required|override|mutating|weak|unowned|dynamic"
    text = re.sub(rf"\b({words})\b", "", text)
    text = re.sub(r"\bclass (?=func|var)", "static ", text)
    # A constant is seen as a property without a setter; defaults are not told by symbol graphs.
    text = re.sub(r"\blet (\w+\s*:.*)$", r"var \1 { get }", text)
    text = re.sub(r"\{ get set \}", "", text)
    text = without_defaults(text)
    text = text.replace("`", "")
    text = re.sub(r"\s*([:,(){}<>\[\]=])\s*", r"\1", text)
    # The names of arguments inside the body do not matter if there is a label.
    text = re.sub(r"(?<=[(,])(\w+) \w+(?=:)", r"\1", text)
    return " ".join(text.split()).strip()


def without_defaults(declaration: str) -> str:
    """A function's declaration without the defaults of its parameters."""
    result, depth, skipping = "", 0, 0
    for index, character in enumerate(declaration):
        closes = character in ")]" or (character == ">" and declaration[index - 1] != "-")
        if skipping and ((character == "," and depth == skipping) or (closes and depth == skipping)):
            skipping = 0
        depth += (character in "([<") - closes
        if character == "=" and depth > 0 and not skipping:
            skipping, result = depth, result.rstrip()
        if not skipping:
            result += character
    return result


def shorter(fact: Fact) -> set[str]:
    """The names that a function goes by where parameters with defaults are left out: protocols' requirements have no
    defaults, so that stand-ins say them by a second function."""
    opened = fact.declaration.find("(")
    if "=" not in fact.declaration or opened < 0 or "(" not in fact.name:
        return set()
    parts, depth, start = [], 0, opened + 1
    for index in range(opened, len(fact.declaration)):
        character = fact.declaration[index]
        depth += (character in "([<") - (character in ")]" or (character == ">" and fact.declaration[index - 1] != "-"))
        if (character == "," and depth == 1) or depth == 0:
            parts.append(fact.declaration[start:index])
            start = index + 1
        if depth == 0:
            break
    labels = [part.split(":")[0].split()[0] for part in parts]
    names = {()}
    for label, part in zip(labels, parts, strict=True):
        names = {(*name, label) for name in names} | (names if "=" in part else set())
    base = fact.name.split("(")[0]
    return {f"{base}({''.join(f'{label}:' for label in name)})" for name in names} - {fact.name}


def head(declaration: str) -> tuple[str, set[str]]:
    """A type's declaration without what it inherits, and what it inherits."""
    before, _, after = declaration.partition(":")
    parents = {part.strip() for part in after.split("{")[0].split(",") if part.strip()}
    return plain(before), {parent for parent in parents if not RAW.match(parent)}


def differences(facts: list[Fact], found: dict[str, list[Symbol]]) -> list[str]:
    """What does not agree, one line each."""
    rows: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        rows[fact.name].append(fact)
    lines, seen = [], set()
    every = {symbol.name: symbol for each in found.values() for symbol in each}
    known = set(rows) | {name for fact in facts for name in shorter(fact)}
    for module, each in found.items():
        for symbol in each:
            seen.add((symbol.name, plain(symbol.declaration)))
            if symbol.is_implicit:
                continue
            matching = rows.get(symbol.name, [])
            if symbol.kind in TYPES and matching:
                lines += type_differences(module, symbol, matching[0], every)
            elif not matching and not stands_for_another(symbol, known, every):
                lines.append(f"{module}: {symbol.name} has no row; it is `{symbol.declaration}`")
            elif matching and all(plain(fact.declaration) != plain(symbol.declaration) for fact in matching):
                told = " or ".join(f"`{fact.declaration}`" for fact in matching)
                lines.append(f"{module}: {symbol.name} is `{symbol.declaration}`; {matching[0].place} has {told}")
    for fact in facts:
        symbol = every.get(fact.name)
        if symbol is None:
            if not IMPLICIT.search("." + fact.name) or fact.owner not in every:
                lines.append(f"{fact.place}: {fact.name} is in no stand-in")
        elif not symbol.is_implicit and len(rows[fact.name]) > 1 and (fact.name, plain(fact.declaration)) not in seen:
            lines.append(f"{fact.place}: {fact.name} is in no stand-in as `{fact.declaration}`")
    return lines


def stands_for_another(symbol: Symbol, known: set[str], every: dict[str, Symbol]) -> bool:
    """Whether another row speaks for a symbol: a function without its defaults, a case whose enum has a row, what a
    protocol asks for, or a type of Core Foundation's."""
    owner, _, member = symbol.name.rpartition(".")
    if symbol.name in known or re.match(r"CF[A-Z]\w*$", symbol.name):
        return True
    if owner not in every:
        # A type of Swift's own that conforms to a protocol of the module.
        return any(name.rpartition(".")[2] == member for name in known)
    parents = inherited(every[owner], every)
    # Cases and options stand with their type, which must have a row itself.
    if symbol.kind == "enum.case" or (symbol.kind == "type.property" and "OptionSet" in parents):
        return True
    return any(f"{parent}.{member}" in known for parent in parents)


@cache
def unsendable() -> frozenset[str]:
    """Classes that say they are not Sendable: symbol graphs give their subclasses what they themselves lack."""
    pattern = r"@available\(\*, unavailable\)\s*extension (\w+)\s*:\s*@unchecked Sendable"
    sources = (path for name in MODULES for path in (ROOT / "tests" / "shims" / name).rglob("*.swift"))
    return frozenset(name for path in sources for name in re.findall(pattern, path.read_text(encoding="utf-8")))


def type_differences(module: str, symbol: Symbol, fact: Fact, every: dict[str, Symbol]) -> list[str]:
    lines = []
    told, parents = head(fact.declaration)
    if told != plain(symbol.declaration.partition(":")[0]):
        lines.append(f"{module}: {symbol.name} is `{symbol.declaration}`; {fact.place} has `{fact.declaration}`")
    if missing := {parent for parent in parents - inherited(symbol, every) if parent != "NSObject"}:
        lines.append(f"{module}: {symbol.name} is no {', '.join(sorted(missing))}, as {fact.place} says")
    is_sendable = "Sendable" in inherited(symbol, every)
    if fact.sendable != "-" and (fact.sendable == "yes") != is_sendable:
        lines.append(
            f"{module}: {symbol.name} is {'' if is_sendable else 'not '}Sendable; {fact.place} says {fact.sendable}"
        )
    return lines


def inherited(symbol: Symbol, every: dict[str, Symbol]) -> set[str]:
    """All that a type is, by way of protocols, too; classes say Sendable themselves, or that they are not."""
    found = set(symbol.parents) - ({"Sendable"} if symbol.parents & unsendable() else set())
    for parent in symbol.parents:
        if parent in every and every[parent].kind == "protocol":
            found |= inherited(every[parent], every)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--modules", type=Path, default=ROOT / ".build-apple" / "release" / "Modules")
    parser.add_argument("--json", action="store_true", help="print the differences as a list")
    options = parser.parse_args()
    facts = read()
    found = extract(options.modules)
    lines = differences(facts, found)
    if options.json:
        print(json.dumps(lines, indent=1))
    else:
        print("\n".join(lines))
        counts = ", ".join(f"{name} {len(each)}" for name, each in found.items()) or "no stand-ins"
        print(f"{len(facts)} rows; symbols of {counts}; {len(lines)} differences")
    if not found:
        print(f"there are no stand-ins in {options.modules}: build with MARTLET_SHIMS=1", file=sys.stderr)
        return 2
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
