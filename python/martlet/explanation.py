"""Where each operation of a model runs, how that is known, and what would keep it off Apple's Neural Engine and GPU."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from martlet._native import answer, callback, ffi, lib
from martlet.errors import InvalidArgumentError, WrongTypeError
from martlet.model import Model, name_or_null, read
from martlet.tables import Markup, Report, Table, html_table

__all__ = ["ExplainedOp", "Finding", "ModelExplanation", "Rule", "RuleGroup", "Segment", "explain", "rules"]

SEVERITIES = ("note", "slow", "refused")
PROCESSORS = {"ane": "Neural Engine", "gpu": "GPU"}
OP_COLUMNS = ("op", "output", "type", "device", "how known", "µs", "by the rules", "why", "rules broken")
RULE_COLUMNS = ("rule", "severity", "operations", "work", "what and why", "cheapest rewrite")


@dataclass(frozen=True)
class Rule:
    """Something that a processor refuses or does slowly, as public sources have it."""

    id: str
    """Stable, such as `ane.dtype.fp16-only`."""
    processor: str
    """`Neural Engine` or `GPU`."""
    severity: str
    """`refused`, `slow` or `note`."""
    words: str
    """One sentence: what, and why."""
    source: str
    url: str
    confidence: str
    """`vendor documented`, `third-party reported` or `inferred`."""


@dataclass(frozen=True)
class Finding:
    """A rule that an operation breaks: its id and severity, what breaks it, and the cheapest way round it."""

    rule: str
    severity: str
    what: str
    rewrite: str


@dataclass(frozen=True)
class ExplainedOp:
    """One operation of the model as the file has it."""

    op: str
    output: str
    """The name of its first result."""
    type: str
    work: float
    """Floating-point operations of products and convolutions, else elements."""
    share: float
    """Its part of the model's work, 0 to 1."""
    step: int | None
    """The step of the plan that covers it, counted from 0; fused operations have one together."""
    processor: str
    """The processor inside the device, such as `Neural Engine`; empty where the device is one."""
    known: str | None
    """`planned by Core ML`, `chosen by us`, `ran`, or None where nothing is left to run."""
    kernel: str
    reason: str
    nanoseconds: int | None
    """The median of the runs; None without runs, and where the time stands with another operation of the step."""
    expected: str
    """Where it would run by the rules: `Neural Engine`, `GPU` or `CPU`; empty where it is known before the run."""
    findings: list[Finding]


@dataclass(frozen=True)
class RuleGroup:
    """A rule with everything that breaks it."""

    rule: str
    processor: str
    severity: str
    operations: int
    """How many; 0 for a rule about the model as a whole."""
    share: float
    """The part of the model's work that they do, 0 to 1."""
    rewrite: str
    """The rewrite of the one that does most work."""
    outputs: list[str]


@dataclass(frozen=True)
class Segment:
    """Operations in a row that would run on one processor by the rules."""

    processor: str
    operations: int
    share: float


@dataclass(frozen=True)
class ModelExplanation:
    """Where each operation of a model runs, and what the rule books hold against Apple's processors.

    `device`, `known` and times are facts of this machine. `expected`, `groups` and `segments` are a reading of the rule
    books: what Core ML would do by public sources, claimed for no device.
    """

    path: str | None
    function: str
    device: str
    """The device of the plan; empty where no device takes the model."""
    reason: str
    runs: int
    nanoseconds: int | None
    """The median of whole runs; None without runs."""
    work: float
    operations: list[ExplainedOp]
    groups: list[RuleGroup]
    """Refusals first, then by the work that they touch."""
    rules: list[Rule]
    """The rules that are broken."""
    segments: list[Segment]
    shares: dict[str, float]
    """The part of the work that would run on each processor by the rules."""

    @classmethod
    def from_answer(cls, found: dict[str, Any]) -> ModelExplanation:
        def explained(each: dict[str, Any]) -> ExplainedOp:
            return ExplainedOp(**each | {"findings": [Finding(**finding) for finding in each["findings"]]})

        return cls(
            **found
            | {
                "operations": [explained(each) for each in found["operations"]],
                "groups": [RuleGroup(**each) for each in found["groups"]],
                "rules": [Rule(**each) for each in found["rules"]],
                "segments": [Segment(**each) for each in found["segments"]],
            }
        )

    @cached_property
    def _by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[ExplainedOp]:
        return iter(self.operations)

    def __repr__(self) -> str:
        return f"<ModelExplanation: {self.title}>"

    @property
    def switches(self) -> int:
        """How often the program would go from one processor to another by the rules."""
        return max(len(self.segments) - 1, 0)

    @property
    def title(self) -> str:
        """One line: the function, its operations, its device and why."""
        where = f"on {self.device}" if self.device else "on no device"
        time = "" if self.nanoseconds is None else f", {self.nanoseconds / 1e6:.3f} ms a run"
        reason = f", {self.reason}" if self.reason else ""
        return f"{self.function}: {len(self.operations)} operations {where}{time}{reason}"

    @property
    def verdict(self) -> str:
        """One line: what the rule books expect of a device of Apple's."""
        parts = [f"{share:.0%} on the {name}" for name, share in self.shares.items() if share > 0]
        switches = f"{self.switches} switch{'' if self.switches == 1 else 'es'} between processors"
        return f"by the rule books, of the work: {', '.join(parts) or 'nothing'}; {switches}"

    def of(self, processor: str = "ane", severity: str = "note") -> list[RuleGroup]:
        """The broken rules of one processor (`ane`, `gpu` or its name), from a severity on.

        Raises:
            InvalidArgumentError: No such processor or severity.
        """
        wanted = PROCESSORS.get(processor, processor)
        if wanted not in PROCESSORS.values():
            raise InvalidArgumentError(f"There are no rules for {processor!r}; there are for 'ane' and 'gpu'.")
        if severity not in SEVERITIES:
            raise InvalidArgumentError(f"The severity is {severity!r}; it must be one of {', '.join(SEVERITIES)}.")
        least = SEVERITIES.index(severity)
        return [each for each in self.groups if each.processor == wanted and SEVERITIES.index(each.severity) >= least]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries.

        `path function device reason runs nanoseconds work shares switches`; `operations`: `op output type work share
        step processor known kernel reason nanoseconds expected findings`, a finding being `rule severity what rewrite`;
        `groups`: `rule processor severity operations share rewrite outputs`; `rules`: `id processor severity words
        source url confidence`; `segments`: `processor operations share`.
        """
        return asdict(self) | {"switches": self.switches}

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    # Rows for people

    def op_rows(self) -> list[tuple[str, ...]]:
        """The operations in words, in the order of `OP_COLUMNS`."""
        return [self._op_row(each) for each in self.operations]

    def _op_row(self, each: ExplainedOp) -> tuple[str, ...]:
        device = f"{self.device}, {each.processor}" if each.processor else self.device
        time = "" if each.nanoseconds is None else f"{each.nanoseconds / 1e3:.1f}"
        why = ": ".join(part for part in (each.kernel, each.reason) if part)
        broken = ", ".join(finding.rule for finding in each.findings if finding.severity != "note")
        return (
            each.op,
            each.output,
            each.type,
            device if each.known else "",
            each.known or "",
            time,
            each.expected,
            why,
            broken,
        )

    def rule_rows(self, processor: str, severity: str = "note") -> list[tuple[str, ...]]:
        """The broken rules of a processor in words, in the order of `RULE_COLUMNS`."""
        return [
            (
                each.rule,
                each.severity,
                str(each.operations) if each.operations else "the model",
                f"{each.share:.1%}",
                self._by_id[each.rule].words,
                each.rewrite,
            )
            for each in self.of(processor, severity)
        ]

    def table(self) -> Table:
        """The operations as a table to print."""
        return Table(OP_COLUMNS, self.op_rows(), right=("µs",), prose=("why", "rules broken"))

    def summary(self) -> Report:
        """What would keep the model off the Neural Engine and the GPU, to print."""
        parts: list[str | Table] = [self.title, self.verdict]
        for name in PROCESSORS.values():
            rows = self.rule_rows(name)
            parts.append(f"\nWhat speaks against the {name}" + ("" if rows else ": nothing in the rule book"))
            if rows:
                prose = ("what and why", "cheapest rewrite")
                parts.append(Table(RULE_COLUMNS, rows, right=("operations", "work"), prose=prose))
        return Report(*parts)

    def __str__(self) -> str:
        return f"{self.summary()}\n\n{self.table()}"

    def _repr_html_(self) -> str:
        return self._body(lambda text: text)

    def to_html(self) -> str:
        """A page of its own: nothing is fetched from elsewhere. It has a light and a dark mode, and folds its tables on
        narrow screens."""
        title = escape(f"{Path(self.path).name if self.path else 'model'}: {self.function}")
        body = self._body(lambda text: f"<h2>{text}</h2>")
        return (
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            f"<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<meta name='color-scheme' content='light dark'><title>{title}</title>"
            f"<style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
        )

    def _body(self, heading: Callable[[str], str]) -> str:
        parts = [f"<p>{escape(self.title)}</p><p>{escape(self.verdict)}</p>", self._bar()]
        for name in PROCESSORS.values():
            rows = self.of(name)
            parts.append(heading(f"What speaks against the {escape(name)}") or "")
            parts.append(
                html_table(RULE_COLUMNS, map(self._rule_cells, rows)) if rows else "<p>Nothing in the rule book.</p>"
            )
        parts.append(heading("Operations"))
        parts.append(html_table(OP_COLUMNS, self.op_rows()))
        return "".join(parts)

    def _bar(self) -> str:
        """The segments side by side, each as wide as its operations are many."""
        whole = sum(each.operations for each in self.segments) or 1
        cells = "".join(
            f"<span title='{escape(each.processor)}: {each.operations} operations, {each.share:.1%} of the work' "
            f"style='display:inline-block;height:1.2em;background:{COLOURS.get(each.processor, '#bbb')};"
            f"width:{each.operations / whole:.4%}'></span>"
            for each in self.segments
        )
        legend = " ".join(
            f"<span style='background:{colour};color:#111'>&nbsp;{escape(name)}&nbsp;</span>"
            for name, colour in COLOURS.items()
        )
        return f"<div style='white-space:nowrap;width:100%;font-size:1em;line-height:0'>{cells}</div><p>{legend}</p>"

    def _rule_cells(self, each: RuleGroup) -> tuple[str, ...]:
        rule = self._by_id[each.rule]
        source = f"<a href='{escape(rule.url)}'>{escape(rule.source)}</a> ({escape(rule.confidence)})"
        outputs = escape(", ".join(each.outputs[:5]) + (", …" if len(each.outputs) > 5 else ""))
        return (
            Markup(f"<code>{escape(each.rule)}</code>"),
            each.severity,
            Markup(f"{each.operations} <small>{outputs}</small>") if each.operations else "the model",
            f"{each.share:.1%}",
            Markup(f"{escape(rule.words)}<br><small>{source}</small>"),
            each.rewrite,
        )


COLOURS = {"Neural Engine": "#d9f0d3", "GPU": "#fde3c8", "CPU": "#dbe9f6"}
# No word is broken but names that may be of any length. On a narrow screen each row is a block of "name: value" lines.
STYLE = """
:root{color-scheme:light dark;--text:#111;--page:#fff;--line:#ddd;--link:#0550ae}
@media(prefers-color-scheme:dark){:root{--text:#e6e6e6;--page:#16181c;--line:#3a3f47;--link:#8ab4f8}}
body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;padding:0 1.5em;max-width:110em;color:var(--text);
background:var(--page)}
a{color:var(--link)}
h1,p{overflow-wrap:anywhere}
td,th{overflow-wrap:break-word}
td[data-label="output"],td[data-label="cheapest rewrite"]{overflow-wrap:anywhere;min-width:8em}
code{white-space:nowrap}
table{border-collapse:collapse;width:100%}
td,th{padding:.25em .6em;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{position:sticky;top:0;background:var(--page)}
@media(max-width:1000px){
body{margin:1em auto;padding:0 1em}
thead{display:none}
table,tbody,tr,td{display:block}
tr{padding:.6em 0;border-bottom:1px solid var(--line)}
td{border:0;padding:.1em 0 .1em 8.5em;min-height:1.4em;position:relative;overflow-wrap:anywhere}
td:empty{display:none}
td::before{content:attr(data-label);position:absolute;left:0;width:8em;opacity:.65}
}
"""


def explain(
    model: str | os.PathLike[str] | Model,
    function: str | None = None,
    device: str | None = None,
    run: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> ModelExplanation:
    """Explains where each operation of a model runs, and what keeps it off Apple's Neural Engine and GPU.

    Off Apple hardware this is a linter: the device is the one that Martlet takes here, and the rule books say what Core
    ML would do by public sources. With a Core ML device, its own plan says where operations are *planned* to run.

    Args:
        model: An `.mlpackage`, or a model that is loaded.
        function: Which function; by default the model's default one.
        device: A name out of `martlet.devices()`; by default the one that the selector chooses. Where none takes the
            model, the rule books are told alone.
        run: Run it so many times on random values, for the times of its steps.
        progress: Called as `progress(done, total)` before each run. If it answers False, the runs end, and the times
            are those of the runs that are done.

    Raises:
        NotFoundError: There is nothing at that path.
        MalformedError: It is not a Core ML package, or a broken one.
        InvalidArgumentError: No such device or function.
        OutOfRangeError: `run` is negative or more than a million.
        UnsupportedError: The device that was named does not take the model; or, with `run`, none does.
    """
    if isinstance(run, bool) or not isinstance(run, int):
        raise WrongTypeError(f"run is {run!r}; it must be an integer.")
    handle = model._model if isinstance(model, Model) else read(model)
    chosen = name_or_null(device, "device")
    runs = ffi.cast("int32_t", min(max(run, -1), 2**31 - 1))

    @callback("int32_t(void *, int32_t, int32_t)", otherwise=1, forever=False)
    def report(_: Any, done: int, total: int) -> int:
        return int(progress is not None and progress(done, total) is False)

    return ModelExplanation.from_answer(
        answer(lib.mlt_explain, handle, chosen, name_or_null(function, "function"), runs, report, ffi.NULL)
    )


def rules() -> list[Rule]:
    """The rule books: what keeps work off the Neural Engine and the GPU, each rule with its source."""
    return [Rule(**each) for each in answer(lib.mlt_rules)]
