"""The availability lint: what Linux never checks. Every use of a symbol of Apple's that is newer than the deployment
target of Package.swift must stand under `if #available`, `guard #available` or `@available` that covers it; and every
symbol that is used must have a row in the facts tables, as without one it is not known since when the symbol exists.

python tests/shims/availability.py [FOLDER...]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from facts import ROOT, Fact, newer, read

ENGINES = (ROOT / "Sources" / "CoreMLEngine", ROOT / "Sources" / "MetalEngine")
# Names of the frameworks: MLModel, MTLDevice, MPSGraph, CVPixelBuffer, kCVPixelFormatType_OneComponent16Half.
APPLES = re.compile(r"\b(?:ML|MTL|MPS|CV|kCV)[A-Z]\w*")
TOKEN = re.compile(
    r"(?P<guard>\bguard\s+#available\s*\((?P<guarded>[^)]*)\))|(?P<if>#available\s*\((?P<ifs>[^)]*)\))"
    r"|(?P<unless>#unavailable\s*\((?P<unlesses>[^)]*)\))"
    r"|(?P<attribute>@available\s*\((?P<attributes>[^)]*)\))|(?P<open>\{)|(?P<close>\})|(?P<name>\b[A-Za-z_]\w*)"
    r"|(?P<line>\n)"
)

Versions = dict[str, str]
"""The least version of each system: {"macOS": "15.4", "iOS": "18.4"}."""


@dataclass
class Scope:
    """Braces, with what is available inside."""

    available: list[Versions] = field(default_factory=list)
    unless: Versions | None = None
    """What `if #unavailable` asked: its `else` has it."""


def deployment(package: Path = ROOT / "Package.swift") -> Versions:
    """The least systems that the package runs on.

    Raises:
        ValueError: The manifest names none.
    """
    text = package.read_text(encoding="utf-8")
    found = {}
    for system in ("macOS", "iOS"):
        match = re.search(rf'\.{system}\((?:\.v([\d_]+)|"([\d.]+)")\)', text)
        if match is None:
            raise ValueError(f"{package} names no least {system}.")
        found[system] = (match[1] or match[2]).replace("_", ".")
    return found


def code(text: str) -> str:
    """The text with comments and strings blanked, line by line as long as before."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    pattern = r'"""(?:\\.|(?!""").)*"""|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/'
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def versions(words: str) -> Versions:
    """`macOS 15.4, iOS 18.4, *` as a dictionary; `macOS, introduced: 15.4` likewise."""
    found = dict(re.findall(r"\b(macOS|iOS)\s+([\d.]+)", words))
    if not found and (match := re.match(r"\s*(macOS|iOS)\s*,.*\bintroduced:\s*([\d.]+)", words)):
        found = {match[1]: match[2]}
    return found


@dataclass
class Table:
    """The facts by the way they are used."""

    facts: list[Fact]
    target: Versions

    def __post_init__(self) -> None:
        self.names: dict[str, Fact] = {}
        self.members: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            if fact.owner:
                self.members[fact.base].append(fact)
            else:
                self.names.setdefault(fact.base, fact)
        # A type inside another, as MLModelStructure.Program, stands for both names.
        self.known = set(self.names) | {fact.owner.split(".")[0] for fact in self.facts if fact.owner}

    def needs(self, fact: Fact) -> Versions:
        """The systems for which a symbol is newer than the deployment target, with its versions."""
        told = {"macOS": fact.macos, "iOS": fact.ios}
        return {name: version for name, version in told.items() if version != "-" and newer(version, self.target[name])}

    def member(self, base: str, labels: list[str] | None) -> Fact | None:
        """The oldest symbol that a use such as `.base(label:)` may mean; labels None where it is no call."""
        fitting = [fact for fact in self.members.get(base, []) if fits(fact, labels)]
        return min(fitting, key=lambda fact: [int(part) for part in fact.macos.split(".")], default=None)


def fits(fact: Fact, labels: list[str] | None) -> bool:
    """Whether labels of a call are among those of a declaration, in its order."""
    _, called, rest = fact.name.partition("(")
    if not called or labels is None:
        return not called or fact.kind == "case"
    declared = [label for label in rest.rstrip(")").split(":") if label]
    position = 0
    for label in labels:
        try:
            position = declared.index(label, position) + 1
        except ValueError:
            return False
    return True


def labels(text: str, start: int) -> list[str] | None:
    """The labels of the call whose name ends at `start`, `_` for none; None where no bracket follows."""
    opened = re.match(r"\s*\(", text[start:])
    if not opened:
        return None
    depth, parts, begin = 0, [], start + opened.end()
    for index in range(begin - 1, len(text)):
        character = text[index]
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if (character == "," and depth == 1) or depth == 0:
            parts.append(text[begin:index])
            begin = index + 1
        if depth == 0:
            break
    found = [re.match(r"\s*(\w+)\s*:", part) for part in parts if part.strip()]
    return [match[1] if match else "_" for match in found]


def lint(path: Path, table: Table, own: set[str]) -> list[str]:
    """What is wrong in one file, `file:line: sentence` each. `own` are names that the engine declares itself."""
    text = code(path.read_text(encoding="utf-8"))
    try:
        place = path.resolve().relative_to(ROOT)
    except ValueError:
        place = path
    scopes = [Scope()]
    pending: list[Versions] = []  # what holds from the next brace on
    unless: Versions | None = None
    attributes: list[Versions] = []  # what holds for the next declaration
    lines, line = [], 1
    last: Scope | None = None  # the scope that was closed last, for `else`
    in_braceless = in_guard = False

    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if kind in ("guarded", "ifs", "unlesses", "attributes"):
            kind = {"guarded": "guard", "ifs": "if", "unlesses": "unless", "attributes": "attribute"}[kind]
        if kind == "line":
            line += 1
            if in_braceless:
                attributes, in_braceless = [], False
            continue
        line_here = line
        line += token[0].count("\n")
        if kind == "if" and in_guard:
            scopes[-1].available.append(versions(token["ifs"]))
        elif kind == "guard":
            # Its else leaves; what follows in the same braces has it.
            scopes[-1].available.append(versions(token["guarded"]))
        elif kind == "if":
            pending.append(versions(token["ifs"]))
        elif kind == "unless":
            unless = versions(token["unlesses"])
        elif kind == "attribute":
            if found := versions(token["attributes"]):
                attributes.append(found)
        elif kind == "open":
            scope = Scope(pending + attributes, unless)
            scopes.append(scope)
            pending, attributes, unless, in_braceless, in_guard = [], [], None, False, False
        elif kind == "close":
            last = scopes.pop() if len(scopes) > 1 else None
        else:
            name = token["name"]
            in_guard = in_guard or name == "guard"
            before = text[: token.start()].rstrip()
            if name == "else" and last is not None and last.unless is not None:
                pending.append(last.unless)
            if attributes and name in ("var", "let", "case", "typealias", "import"):
                in_braceless = True
            held = [each for scope in scopes for each in scope.available] + pending + attributes
            if found := judge(name, before, text, token.end(), table, own, held):
                lines.append(f"{place}:{line_here}: {found}")
    return lines


def judge(name: str, before: str, text: str, end: int, table: Table, own: set[str], held: list[Versions]) -> str | None:
    """What is wrong with one name, if anything."""
    if re.search(r"\bimport$", before):
        return None
    is_member = before.endswith(".") and not before.endswith("..")
    fact = table.member(name, labels(text, end)) if is_member else table.names.get(name)
    if fact is None:
        if not is_member and APPLES.fullmatch(name) and name not in table.known | own and text[end : end + 1] != ":":
            return f"{name} has no row in the facts tables; it is not known since when it exists."
        return None
    if is_member and name in own:
        return None
    for system, version in table.needs(fact).items():
        if not any(system in each and not newer(version, each[system]) for each in held):
            least = ", ".join(f"{name} {number}" for name, number in table.needs(fact).items())
            return f"{fact.name} is newer than the deployment target; it needs `if #available({least}, *)`."
    return None


def declared(files: list[Path]) -> set[str]:
    """Names that the engine declares itself."""
    pattern = r"\b(?:func|var|let|case|struct|class|enum|actor|protocol|typealias)\s+`?(\w+)"
    return {name for path in files for name in re.findall(pattern, code(path.read_text(encoding="utf-8")))}


def check(folders: list[Path], facts: list[Fact], target: Versions) -> list[str]:
    """What is wrong in all Swift files of some folders."""
    table = Table(facts, target)
    lines = []
    for folder in folders:
        files = sorted(folder.rglob("*.swift"))
        own = declared(files)
        for path in files:
            lines += lint(path, table, own)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="The availability lint of the engines for Apple's devices.")
    parser.add_argument("folders", nargs="*", type=Path, default=list(ENGINES))
    folders = parser.parse_args().folders
    target = deployment()
    lines = check(folders, read(), target)
    print("\n".join(lines) if lines else f"nothing newer than {target} stands without a guard")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
