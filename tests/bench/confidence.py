"""How often results are wrong, by their confidence: ``python -m tests.bench.confidence [--films N] [--keep DIR]``.

Draws films in which it is hard to say who is who, lets the models look at them, and compares the people found with the
truth. ``--keep`` stores what the models see, so that the next run with other decisions takes seconds.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tests.support.drawn.hard import KINDS, drawing
from tests.support.drawn.scenes import Drawing
from tests.support.drawn.sightings import Sightings, sightings
from tests.support.drawn.verdicts import Verdict, resolved

BORDERS = (0.0, 0.5, 0.8, 0.9, 0.97, 0.99, 1.0 + 1e-9)
SURE = 0.9


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=270)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--keep", type=Path, help="folder for what the models see")
    options = parser.parse_args(arguments)
    verdicts = []
    for seed in range(options.first, options.first + options.films):
        words, film = drawing(seed)
        verdict = resolved(film, _seen(film, seed, options.keep))
        verdicts.append((words, verdict))
        if verdict.wrong:
            _write(f"{seed}: {words}, confidence {verdict.confidence}, wrong {_times(verdict.wrong)}")
    _write("\n".join(table([verdict for _, verdict in verdicts])))
    for kind in KINDS:
        of_kind = [verdict for words, verdict in verdicts if words.startswith(kind)]
        _write(f"{kind:24}" + _counts(of_kind) + _missed(of_kind))


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """Return lines with the share of wrong results by confidence, and what is said about the wrong seconds."""
    lines = [f"{'confidence':24}films  wrong  share"]
    for low, high in pairwise(BORDERS):
        lines.append(
            f"{low:.2f} to {min(1.0, high):.2f}".ljust(24)
            + _counts([v for v in verdicts if low <= v.confidence < high])
        )
    sure = [v for v in verdicts if v.confidence >= SURE]
    lines.append(f"{SURE} and more".ljust(24) + _counts(sure))
    lines.append(f"share of films: {100 * len(sure) / max(1, len(verdicts)):.0f} %")
    wrong_s = sum(b - a for v in verdicts for a, b in v.wrong)
    outside_s = sum(v.wrong_outside_s for v in verdicts)
    lines.append(f"wrong for {wrong_s:.1f} s, of which places of doubt do not name {outside_s:.1f} s")
    return lines


def _counts(verdicts: Sequence[Verdict]) -> str:
    wrong = sum(bool(v.wrong) for v in verdicts)
    share = f"{100 * wrong / len(verdicts):.1f} %" if verdicts else ""
    return f"{len(verdicts):5}{wrong:7}{share:>8}"


def _missed(verdicts: Sequence[Verdict]) -> str:
    """Return the share of looks at one of the two people in which they are not found."""
    return f"{100 * sum(v.missed for v in verdicts) / len(verdicts):8.1f} % missed" if verdicts else ""


def _seen(film: Drawing, seed: int, keep: Path | None) -> Sightings:
    path = None if keep is None else keep / f"{seed}.pkl"
    if path is not None and path.exists():
        seen: Sightings = pickle.loads(path.read_bytes())
        return seen
    with tempfile.TemporaryDirectory() as folder:
        seen = sightings(film.write(Path(folder) / "drawn.mp4"))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(seen))
    return seen


def _times(spans: Sequence[tuple[float, float]]) -> str:
    return ", ".join(f"{a:.1f} to {b:.1f} s" for a, b in spans)


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
