"""docs/media.md: the table for readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.conformance.row import Row, Verdict
from tests.conformance.table import SECTIONS

PATH = Path(__file__).parents[2] / "docs" / "media.md"
_COLUMNS = ("recording", "container", "video", "audio", "time base", "colour", "what happens", "verdict", "row")
_HEAD = """\
# Recordings of every kind, and what becomes of them

Made by `python -m tests.conformance` from real runs: each row's recording is made on the spot, goes through the whole
pipeline, and the result is read again by a judge that knows the recording from its row alone. The judge checks every
frame's time (1.5 ms) and number, colours at up to 36 places (14 of 255), which way up the frame is, each track's
tones by channel, their onset (20 ms) and length, the description, and that the warnings are exactly those that the
row names. A test runs a part of the table and compares this file's rows with the table's; `python -m
tests.conformance --only ROW` runs one.

"""


def document(verdicts: Sequence[Verdict]) -> str:
    """The text of docs/media.md."""
    by_name = {verdict.row: verdict for verdict in verdicts}
    wrong = sum(bool(verdict.troubles) for verdict in verdicts)
    parts = [_HEAD, f"{len(verdicts)} rows, {wrong} wrong.\n"]
    for title, rows in SECTIONS.items():
        parts += [f"\n## {title}\n\n", _line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
        parts += [_line(_cells(row, by_name[row.name])) for row in rows]
    return "".join(parts)


def _cells(row: Row, verdict: Verdict) -> list[str]:
    facts = [verdict.facts.get(key, "") for key in ("container", "video", "audio", "time base", "colour")]
    codes = ", ".join(f"`{code}`" for code in ([row.error] if row.error else sorted(set(row.warnings))))
    happens = row.happens + (f" ({codes})" if codes else "")
    return [row.what, *facts, happens, "; ".join(verdict.troubles) or "right", f"`{row.name}`"]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |\n"


def rows_listed(text: str) -> list[str]:
    """The names of the rows that a document lists."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and line.endswith("` |")]
    return [line.split("|")[-2].strip(" `") for line in lines]
