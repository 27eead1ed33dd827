"""Tables as people see them: in terminals of any width, printed, through rich, and in notebooks."""

import numpy as np
import pytest
from rich.console import Console

import martlet
from martlet.tables import Table, cells_of, html_table

ROWS = [
    ("1", "conv + relu", "tensor<fp32, [1, 64, 56, 56]>", "oneDNN has an optimised convolution for channels last"),
    ("2", "matmul", "tensor<fp32, [1, 10]>", "of up to four rows the weights are read where they are mapped"),
]
TABLE = Table(("#", "ops", "type", "reason"), ROWS, title="2 steps", right=("#",), prose=("reason",))


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 160, 400])
def test_lines_fit_and_no_word_is_broken(width):
    text = TABLE.text(width)
    assert max(map(cells_of, text.splitlines())) <= width
    words = {word for row in ROWS for cell in row for word in cell.split()}
    assert words <= set(text.split())


def test_a_wide_terminal_has_one_line_a_row():
    assert len(TABLE.text(200).splitlines()) == 2 + len(ROWS)


def test_sentences_go_below_where_there_is_no_room():
    lines = TABLE.text(60).splitlines()
    assert lines[1].split() == ["#", "ops", "type"]
    assert lines[2].endswith(ROWS[0][2])
    assert lines[3].strip().startswith("reason: oneDNN has")


def test_only_words_longer_than_a_line_are_broken():
    path = "/" + "x" * 70
    table = Table(("name", "path"), [("a", path)])
    assert path in table.text(100)
    folded = table.text(40).replace("\n", "").replace(" ", "")
    assert path in folded


def test_wide_characters_take_two_cells():
    # By the East Asian Width of Unicode.
    assert cells_of("変換 é") == 6
    lines = Table(("a", "b"), [("変換", "x"), ("four", "y")]).text(40).splitlines()
    assert lines[1].index("x") == 4
    assert lines[2].index("y") == 6


def test_control_characters_are_shown_not_sent():
    table = Table(("name",), [("\x1b[31mred\x07\u202e",)])
    assert table.text(80).splitlines()[1] == r"\x1b[31mred\x07\u202e"


def test_rich_shows_the_same_lines():
    console = Console(width=60, record=True)
    console.print(TABLE)
    assert [line.rstrip() for line in console.export_text().splitlines()] == TABLE.text(60).splitlines()


def test_html_is_escaped():
    page = html_table(("<a>",), [("<b>&'",)])
    assert "<th>&lt;a&gt;</th>" in page
    assert "&lt;b&gt;&amp;&#x27;" in page


def objects():
    """What a user meets and may print."""
    x = martlet.Tensor(np.ones((2, 2), np.float32))
    model = martlet.trace(lambda x: x + 1, x)
    with martlet.profile() as profile:
        model.predict({"x": np.ones((2, 2), np.float32)})
    selector = martlet.SmartDeviceSelector()
    explanation = martlet.explain(model)
    backend = martlet.CoreMLBackend()
    port = model.inputs[0]
    decision = selector.explain(martlet.OperationProfile("relu", (8,)))
    return {
        "model": model,
        "port": port,
        "plan": model.plan(),
        "plan.table()": model.plan().table(),
        "profile": profile,
        "profile.table()": profile.table(),
        "explanation": explanation,
        "explanation.table()": explanation.table(),
        "explanation.summary()": explanation.summary(),
        "selector": selector,
        "decision": decision,
        "decision.table()": decision.table(),
        "decision map": selector.decision_map(),
        "choice": selector.select_device(martlet.OperationProfile("relu", (8,))),
        "backend": backend,
        "stats": backend.get_stats(),
        "config": backend.config,
        "device": martlet.CoreMLDevice(),
        "device cache": martlet.DeviceCache.global_(),
        "cache stats": martlet.DeviceCache.global_().get_stats(),
        "devices": martlet.devices(),
        "rules": martlet.rules(),
        "info": martlet.info(),
        "namespace": martlet.__array_namespace_info__(),
    }


def test_everything_printed_is_readable():
    for name, each in objects().items():
        for words in (str(each), repr(each)):
            assert " object at 0x" not in words, name
            assert words.strip(), name


def test_tables_are_html_in_notebooks():
    for name, each in objects().items():
        if name.endswith(("table()", "summary()", "map")) or name in ("plan", "profile", "explanation", "decision"):
            assert "<table>" in each._repr_html_(), name


def test_a_printed_profile_has_its_ops():
    found = objects()["profile.table()"]
    assert "add" in str(found)
    assert "total ms" in str(found)
