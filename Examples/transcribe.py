"""Transcribes a synthesised melody with basic-pitch's Core ML package, and with its ONNX twin for comparison.

    python Examples/transcribe.py nmp.mlpackage [nmp.onnx]

`./build.sh demo` fetches both files and runs this. basic-pitch hears two seconds at a time and answers, for every frame
of 256 samples and each of the 88 keys of a piano, how likely the key sounds and how likely it is struck just then.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import martlet

RATE = 22050
HOP = 256
WINDOW = 2 * RATE - HOP
OVERLAP = 30  # frames that neighbouring windows share
FRAMES = 172  # of one window
STRIDE = WINDOW - OVERLAP * HOP  # samples from window to window
LOWEST_KEY = 21
NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")

# Key (60 is the middle C), start and length in seconds: a rising and falling phrase that ends in a fifth.
MELODY = ((60, 0.2, 0.45), (64, 0.7, 0.45), (67, 1.2, 0.45), (72, 1.7, 0.6), (71, 2.35, 0.4), (67, 2.8, 0.4))
MELODY += ((65, 3.25, 0.4), (62, 3.7, 0.4), (60, 4.15, 0.7), (67, 4.15, 0.7))

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Note:
    key: int
    start: float
    length: float

    @property
    def name(self) -> str:
        return f"{NAMES[self.key % 12]}{self.key // 12 - 1}"


def play(notes: list[Note]) -> np.ndarray:
    """The sound of plucked strings: harmonics that are weaker the higher they are, and die away sooner."""
    sound = np.zeros(round(RATE * (max(note.start + note.length for note in notes) + 0.3)), np.float32)
    for note in notes:
        now = np.arange(round(RATE * note.length)) / RATE
        pitch = 440 * 2 ** ((note.key - 69) / 12)
        parts = (np.exp(-(2 + n) * now) * np.sin(2 * np.pi * n * pitch * now) / n**1.5 for n in range(1, 7))
        edges = np.minimum(1, np.minimum(now / 0.005, (note.length - now) / 0.03))
        first = round(RATE * note.start)
        sound[first : first + len(now)] += 0.25 * sum(parts) * edges
    return sound


def windows(sound: np.ndarray) -> list[np.ndarray]:
    """Stretches of two seconds, [1, samples, 1], that overlap by 30 frames; silence before the first and the end."""
    lead = OVERLAP // 2 * HOP
    padded = np.concatenate([np.zeros(lead, np.float32), sound, np.zeros(WINDOW, np.float32)])
    starts = range(0, lead + len(sound), STRIDE)
    return [padded[start : start + WINDOW].reshape(1, WINDOW, 1) for start in starts]


def listen(predict: Predict, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """How likely each key sounds and is struck, [frames, 88] each, and the milliseconds that every window took."""
    notes, onsets, times = [], [], []
    for window in windows(sound):
        began = time.perf_counter()
        note, onset = predict(window)
        times.append((time.perf_counter() - began) * 1e3)
        inner = slice(OVERLAP // 2, -(OVERLAP // 2))
        notes.append(note[0, inner])
        onsets.append(onset[0, inner])
    return np.concatenate(notes), np.concatenate(onsets), times


def seconds(frame: int) -> float:
    """When a frame of the joined windows is heard."""
    window, inner = divmod(frame, FRAMES - OVERLAP)
    return (window * STRIDE + inner * HOP) / RATE


def pick_notes(sounding: np.ndarray, struck: np.ndarray, threshold: float = 0.5) -> list[Note]:
    """A note starts where a key is most surely struck and lasts for as long as it sounds."""
    found = []
    for key in range(sounding.shape[1]):
        end = 0
        for frame in range(1, len(struck) - 1):
            here = struck[frame, key]
            if frame < end or here < threshold or here < struck[frame - 1, key] or here < struck[frame + 1, key]:
                continue
            end = frame
            while end < len(sounding) and sounding[end, key] > 0.3:
                end += 1
            if end - frame > 8:
                found.append(Note(key + LOWEST_KEY, seconds(frame), seconds(end) - seconds(frame)))
    return sorted(found, key=lambda note: (note.start, note.key))


def match(played: list[Note], found: list[Note]) -> tuple[list[Note | None], list[Note]]:
    """For each played note the note found for it, if any; and the found notes that were not played."""
    rest = list(found)
    pairs: list[Note | None] = []
    for note in played:
        near = [each for each in rest if each.key == note.key and abs(each.start - note.start) < 0.1]
        pairs.append(min(near, key=lambda each: abs(each.start - note.start)) if near else None)
        if near:
            rest.remove(pairs[-1])
    return pairs, rest


def timed(function: Callable[[], Predict]) -> tuple[Predict, float]:
    began = time.perf_counter()
    return function(), (time.perf_counter() - began) * 1e3


def load_martlet(package: Path) -> Predict:
    model = martlet.load(package)

    def predict(window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = model.predict({"input_2": window})
        return outputs["Identity_1"], outputs["Identity_2"]

    predict.device = model.device  # type: ignore[attr-defined]
    return predict


def load_onnx(path: Path) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = martlet.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
    return lambda window: session.run(names, {"serving_default_input_2:0": window})


def show(played: list[Note], heard: dict[str, list[Note]], console: Console) -> bool:
    """Prints the notes played beside those found; returns whether the first listener found exactly them."""
    table = Table(title="Notes played and found", title_justify="left")
    table.add_column("played")
    table.add_column("at", justify="right")
    for listener in heard:
        table.add_column(listener, justify="right")
    matched = {listener: match(played, found) for listener, found in heard.items()}
    for index, note in enumerate(played):
        cells = []
        for pairs, _ in matched.values():
            here = pairs[index]
            cells.append(f"{here.name} at {here.start:.2f} s" if here else "[red]missed[/]")
        table.add_row(note.name, f"{note.start:.2f} s", *cells)
    for listener, (_, rest) in matched.items():
        for note in rest:
            wrong = f"[red]{note.name} at {note.start:.2f} s[/]"
            table.add_row("", "", *(wrong if each == listener else "" for each in heard))
    console.print(table)
    for listener, (pairs, rest) in matched.items():
        hits = sum(pair is not None for pair in pairs)
        console.print(f"{listener}: {hits} of {len(played)} notes found, {len(rest)} that were not played")
    pairs, rest = next(iter(matched.values()))
    return None not in pairs and not rest


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe a melody with basic-pitch.")
    parser.add_argument("package", type=Path, help="basic-pitch's nmp.mlpackage")
    parser.add_argument("onnx", type=Path, nargs="?", help="its nmp.onnx, to compare with ONNX Runtime")
    options = parser.parse_args()
    console = Console()

    played = [Note(*note) for note in MELODY]
    sound = play(played)
    listeners = {"Martlet": lambda: load_martlet(options.package)}
    if options.onnx:
        listeners["ONNX Runtime"] = lambda: load_onnx(options.onnx)

    heard, answers = {}, {}
    speed = Table(title="Speed", title_justify="left")
    for column in ("", "device", "load", "first window", "later windows (median)"):
        speed.add_column(column, justify="left" if column in ("", "device") else "right")
    for name, load in listeners.items():
        predict, load_time = timed(load)
        sounding, struck, times = listen(predict, sound)
        heard[name], answers[name] = pick_notes(sounding, struck), (sounding, struck)
        device = getattr(predict, "device", "cpu")
        repeated = [time for _ in range(5) for time in listen(predict, sound)[2]]
        speed.add_row(name, device, f"{load_time:.1f} ms", f"{times[0]:.1f} ms", f"{np.median(repeated):.2f} ms")

    console.print(f"{len(played)} notes in {len(sound) / RATE:.1f} s of sound, {len(windows(sound))} windows\n")
    right = show(played, heard, console)
    console.print()
    console.print(speed)
    threads = martlet.get_num_threads()
    console.print(f"{threads} threads each")
    if len(answers) == 2:
        ours, theirs = answers.values()
        largest = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
        console.print(f"Largest difference between the two, of probabilities from 0 to 1: {largest:.1e}")
    if not right:
        raise SystemExit("The melody was not found exactly as it was played.")


if __name__ == "__main__":
    main()
