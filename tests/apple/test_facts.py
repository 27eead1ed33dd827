"""The facts tables against the stand-ins and the engines, and the two scripts that compare them."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "shims"))

import availability  # noqa: E402
import check_facts  # noqa: E402
import facts  # noqa: E402
from check_facts import Symbol, differences  # noqa: E402
from facts import COLUMNS, Fact  # noqa: E402

TARGET = {"macOS": "15.0", "iOS": "18.0"}


def fact(name, declaration, kind="method", sendable="-", macos="11.0", ios="14.0"):
    return Fact(name, declaration, kind, sendable, macos, ios, "a page", "Test.tsv:2")


def symbol(name, declaration, kind="method", parents=()):
    return Symbol(name, declaration, kind, "Sendable" in parents, set(parents))


MODEL = fact("MLModel", "class MLModel : NSObject", "class", "no")
LOAD = fact("MLModel.load(_:options:)", "func load(_ url: URL, options: [Int] = []) throws -> MLModel")
IS_MODEL = symbol("MLModel", "class MLModel", "class", ["NSObject"])
IS_LOAD = symbol("MLModel.load(_:options:)", "func load(_ url: URL, options: [Int]) throws -> MLModel")


def compare(rows, *symbols):
    return differences(rows, {"CoreML": list(symbols)})


# Stand-ins against tables


def test_what_agrees_is_not_told():
    assert compare([MODEL, LOAD], IS_MODEL, IS_LOAD) == []


@pytest.mark.parametrize(
    ("ours", "pages"),
    [
        ("let shape: [NSNumber]?", "var shape: [NSNumber]? { get }"),
        ("@discardableResult func run()  -> Int", "func run() -> Int"),
        ("nonisolated(unsafe) let kKey: CFString", "let kKey: CFString"),
        ("class func run(_ x: Int)", "static func run(_ y: Int)"),
        ("var name: String { get set }", "var name: String"),
        ("func add(_ a: Int, to b: Int)", "func add(_ first: Int, to second: Int)"),
        ("func run(f: (Int) -> Void, b: Int)", "func run(f: (Int) -> Void = { _ in }, b: Int = 3)"),
    ],
)
def test_forms_of_one_declaration(ours, pages):
    assert check_facts.plain(ours) == check_facts.plain(pages)


@pytest.mark.parametrize(
    "other",
    [
        "func load(_ url: URL, options: [Int]) -> MLModel",
        "func load(_ url: URL, options: [Int]) throws -> MLModel?",
        "func load(_ url: URL?, options: [Int]) throws -> MLModel",
        "func load(_ url: URL, options: [Int]) async throws -> MLModel",
        "static func load(_ url: URL, options: [Int]) throws -> MLModel",
        "func load(_ url: URL, settings: [Int]) throws -> MLModel",
    ],
)
def test_another_declaration_is_told(other):
    lines = compare([MODEL, LOAD], IS_MODEL, symbol(LOAD.name, other))
    assert len(lines) == 1
    assert "MLModel.load" in lines[0]
    assert "Test.tsv:2" in lines[0]


def test_sendable_and_parents_are_told():
    assert "Sendable" in compare([MODEL], symbol("MLModel", "class MLModel", "class", ["Sendable"]))[0]
    state = fact("MLState", "class MLState : Sendable", "class", "yes")
    assert compare([state], symbol("MLState", "class MLState", "class", ["Sendable"])) == []
    assert len(compare([state], symbol("MLState", "class MLState", "class"))) == 2
    assert compare([MODEL], symbol("MLModel", "struct MLModel", "struct"))


def test_subclasses_of_what_is_not_sendable(monkeypatch):
    key = fact("MLKey", "class MLKey : MLModel", "class", "no")
    own = symbol("MLKey", "class MLKey", "class", ["Sendable", "MLModel"])
    monkeypatch.setattr(check_facts, "unsendable", frozenset)
    assert compare([key, MODEL], own, IS_MODEL) != []
    monkeypatch.setattr(check_facts, "unsendable", lambda: frozenset({"MLModel"}))
    assert compare([key, MODEL], own, IS_MODEL) == []


def test_missing_rows_and_symbols_are_told():
    assert "has no row" in compare([MODEL], IS_MODEL, IS_LOAD)[0]
    assert "in no stand-in" in compare([MODEL, LOAD], IS_MODEL)[0]
    # One of two functions of a name.
    second = fact(LOAD.name, "func load(_ data: Data, options: [Int] = []) throws -> MLModel")
    assert "Data" in compare([MODEL, LOAD, second], IS_MODEL, IS_LOAD)[0]


def test_what_another_row_speaks_for():
    # A requirement of a protocol has no default: the stand-in has a second function.
    short = symbol("MLModel.load(_:)", "func load(_ url: URL) throws -> MLModel")
    assert compare([MODEL, LOAD], IS_MODEL, IS_LOAD, short) == []
    units = fact("MLComputeUnits", "enum MLComputeUnits : Int", "enum", "yes")
    cases = [
        symbol("MLComputeUnits", "enum MLComputeUnits", "enum", ["Sendable"]),
        symbol("MLComputeUnits.all", "case all", "enum.case"),
    ]
    assert compare([units], *cases) == []
    buffer = fact("MTLBuffer", "protocol MTLBuffer", "protocol", "no")
    length = fact("MTLBuffer.length", "var length: Int { get }", "property")
    own = [
        symbol("MTLBuffer", "protocol MTLBuffer", "protocol"),
        symbol("MTLBuffer.length", "var length: Int { get }", "property"),
        symbol("MPSBuffer", "class MPSBuffer", "class", ["MTLBuffer"]),
        symbol("MPSBuffer.length", "var length: Int { get }", "property"),
    ]
    assert len(compare([buffer, length], *own)) == 1


def test_implicit_symbols_may_have_rows():
    units = fact("MLUnits", "enum MLUnits : Int", "enum", "yes")
    raw = fact("MLUnits.init(rawValue:)", "init?(rawValue: Int)", "init")
    own = symbol("MLUnits", "enum MLUnits", "enum", ["Sendable"])
    assert compare([units, raw], own) == []
    assert (
        compare([units], own, Symbol("MLUnits.hashValue", "var hashValue: Int", "property", False, set(), True)) == []
    )
    assert compare([raw]) != []


def test_graphs_are_read():
    graph = {
        "symbols": [
            {
                "kind": {"identifier": "swift.class"},
                "identifier": {"precise": "s:X"},
                "pathComponents": ["MLState"],
                "declarationFragments": [{"spelling": "class "}, {"spelling": "MLState"}],
            },
            {
                "kind": {"identifier": "swift.property"},
                "identifier": {"precise": "s:R"},
                "pathComponents": ["E", "rawValue"],
            },
            {
                "kind": {"identifier": "swift.method"},
                "identifier": {"precise": "s:M::SYNTHESIZED::s:X"},
                "pathComponents": ["m"],
            },
        ],
        "relationships": [{"kind": "conformsTo", "source": "s:X", "target": "s:S", "targetFallback": "Swift.Sendable"}],
    }
    # What Swift writes by itself needs no row.
    assert [each.is_implicit for each in check_facts.symbols(graph)] == [False, True, True]
    found = [each for each in check_facts.symbols(graph) if not each.is_implicit]
    assert [(each.name, each.declaration, each.is_sendable) for each in found] == [("MLState", "class MLState", True)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["name\tkind"], "columns"),
        (["\t".join(COLUMNS), "MLModel\tclass MLModel"], "entries"),
        (["\t".join(COLUMNS), "MLModel\tclass MLModel\tclass\tperhaps\t11.0\t14.0\tpage"], "Sendable"),
        (["\t".join(COLUMNS), "MLModel\tclass MLModel\tclass\tno\tBig Sur\t14.0\tpage"], "version"),
    ],
)
def test_bad_tables_are_refused(tmp_path, rows, message):
    (tmp_path / "Bad.tsv").write_text("\n".join(rows))
    with pytest.raises(ValueError, match=message):
        facts.read([tmp_path / "Bad.tsv"])


# Availability

FACTS = [
    MODEL,
    fact("MLTensor", "struct MLTensor", "struct", "yes", "15.0", "18.0"),
    fact("MLNewest", "class MLNewest", "class", "no", "26.0", "26.0"),
    fact("MLModel.shrink(by:)", "func shrink(by factor: Int)", "method", "-", "15.4", "18.4"),
    fact("MLModel.grow(by:)", "func grow(by factor: Int)"),
    fact("MLModel.grow(by:slowly:)", "func grow(by factor: Int, slowly: Bool)", "method", "-", "26.0", "26.0"),
    fact("MLModel.isShrunk", "var isShrunk: Bool { get }", "property", "-", "15.4", "18.4"),
]


def lint(tmp_path, text):
    folder = tmp_path / "Engine"
    folder.mkdir(exist_ok=True)
    (folder / "File.swift").write_text(text)
    return availability.check([folder], FACTS, TARGET)


@pytest.mark.parametrize(
    "text",
    [
        "func f(model: MLModel) { model.shrink(by: 2) }",
        "func f(model: MLModel) { if model.isShrunk { } }",
        "func f() { let x = MLNewest() }",
        "func f(model: MLModel) { model.grow(by: 2, slowly: true) }",
        "func f(model: MLModel) { if #available(macOS 15.4, *) { model.shrink(by: 2) } }",
        "func f(model: MLModel) { if #available(macOS 15.2, iOS 18.4, *) { model.shrink(by: 2) } }",
        "func f(model: MLModel) { if #available(macOS 15.4, iOS 18.4, *) { } else { model.shrink(by: 2) } }",
        "func f(model: MLModel) { if #available(macOS 15.4, iOS 18.4, *) { }; model.shrink(by: 2) }",
        "func f(m: MLModel) { do { guard #available(macOS 15.4, iOS 18.4, *) else { return } }; m.shrink(by: 2) }",
        "@available(macOS 15.4, iOS 18.4, *)\nfunc g() { }\nfunc f(m: MLModel) { m.shrink(by: 2) }",
        "@available(macOS 26, iOS 26, *) let a: MLNewest\nlet b: MLNewest",
    ],
)
def test_what_is_newer_needs_a_guard(tmp_path, text):
    lines = lint(tmp_path, text)
    assert len(lines) == 1
    assert "if #available(macOS" in lines[0]
    assert f"File.swift:{text.count(chr(10)) + 1}: " in lines[0]


@pytest.mark.parametrize(
    "text",
    [
        "func f(model: MLModel) { model.grow(by: 2); let t: MLTensor }",
        "func f(model: MLModel) { if #available(macOS 15.4, iOS 18.4, *) { model.shrink(by: 2) } }",
        "func f(model: MLModel) { if #available(macOS 26, iOS 26, *), model.isShrunk { model.shrink(by: 2) } }",
        "func f(m: MLModel) {\n guard #available(macOS 15.4, iOS 18.4, *) else { return }\n do { m.shrink(by: 2) } }",
        "func f(m: MLModel?) { guard let m, #available(macOS 15.4, iOS 18.4, *) else { return }; m.shrink(by: 2) }",
        "@available(macOS 15.4, iOS 18.4, *)\nextension X { func f(m: MLModel) { m.shrink(by: 2) } }",
        "@available(macOS 26, iOS 26, *) let newest: MLNewest",
        "func f(m: MLModel) { if #unavailable(macOS 15.4, iOS 18.4) { } else { m.shrink(by: 2) } }",
        '// model.shrink(by: 2) and MLNewest\nlet x = "MLNewest"',
        "struct X { func shrink(by: Int) { } }\nfunc f(x: X) { x.shrink(by: 2) }",
        "import MLNewest",
    ],
)
def test_what_is_guarded_or_old_is_fine(tmp_path, text):
    assert lint(tmp_path, text) == []


def test_symbols_without_a_row_are_told(tmp_path):
    lines = lint(
        tmp_path, "struct MLOwn { }\nfunc f(a: MLOwn, b: MTLSecret) { }\nlet c = kCVPixelFormatType_OneComponent8"
    )
    assert [line.split(": ", 1)[1].split(" has")[0] for line in lines] == [
        "MTLSecret",
        "kCVPixelFormatType_OneComponent8",
    ]
    assert ["File.swift:2" in lines[0], "File.swift:3" in lines[1]] == [True, True]


def test_target_is_that_of_the_manifest(tmp_path):
    assert set(availability.deployment()) == {"macOS", "iOS"}
    manifest = tmp_path / "Package.swift"
    manifest.write_text('platforms: [.macOS(.v14_4), .iOS("17.4")]')
    assert availability.deployment(manifest) == {"macOS": "14.4", "iOS": "17.4"}
    manifest.write_text("platforms: []")
    with pytest.raises(ValueError, match="macOS"):
        availability.deployment(manifest)


# What there is

# Beside the library with the stand-ins, which all tests of this folder need.
MODULES = Path(os.environ["MARTLET_LIBRARY"]).parent / "Modules"


def test_tables_are_whole():
    rows = facts.read()
    assert rows
    seen = {(row.name, row.declaration) for row in rows}
    assert len(seen) == len(rows), "a row is there twice"


def test_stand_ins_are_what_the_tables_say():
    try:
        found = check_facts.extract(MODULES)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert differences(facts.read(), found) == []


def test_engines_guard_what_is_newer():
    assert availability.check(list(availability.ENGINES), facts.read(), availability.deployment()) == []
