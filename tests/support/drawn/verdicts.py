"""Whether the two tiles of a finished drawing show the right people, frame by frame."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from engines.frames import Rect
from pipeline.job import JobSpec
from pipeline.people import Seen
from pipeline.runner import run_job
from tests.support.drawn.scenes import Drawing
from tests.support.drawn.sightings import Sightings

NEAR = 0.6  # of a face's width and height: so far from its middle a box may be
LEAST_WRONG_S = 0.2  # a shorter mistake is not seen


@dataclass(frozen=True)
class Verdict:
    """What a finished drawing is like.

    Attributes:
        confidence, doubts: of the report.
        wrong: spans in seconds in which a tile shows somebody else.
        missed: share of looks at a face in which its person has no face in the tracks.
        rows: of the tracks file.
    """

    confidence: float
    doubts: Sequence[Mapping[str, Any]]
    wrong: Sequence[tuple[float, float]]
    missed: float
    rows: Sequence[Mapping[str, Any]]
    identity: Mapping[str, Any]

    @property
    def wrong_outside_s(self) -> float:
        """Seconds of wrong spans that no span of doubt covers, with a second of tolerance."""
        spans = [(d["from_s"] - 1, d["to_s"] + 1) for d in self.doubts]
        return sum(b - a for a, b in self.wrong if not any(x <= a and b <= y for x, y in spans))


def resolved(drawing: Drawing, seen: Sightings) -> Verdict:
    """Judge who is who in a drawing, without cameras and video."""
    scenes, people = seen.play()
    rows = [{side: _shown_by(getattr(scene, side)) for side in ("left", "right")} for scene in scenes]
    return judge(drawing, rows, people.summary())


def _shown_by(person: Seen | None) -> dict[str, Any] | None:
    if person is None or person.box is None:
        return None
    box = person.box
    return {"face": [box.x, box.y, box.w, box.h], "source": person.source}


def process(drawing: Drawing, folder: Path, **fields: Any) -> Verdict:
    """Write a drawing, make its split screen, and judge it."""
    folder.mkdir(parents=True, exist_ok=True)
    source = drawing.write(folder / "drawn.mp4")
    work = folder / "work"
    work.mkdir()
    result = run_job(
        JobSpec("job", source, source.name, work, **fields), on_progress=lambda _: None, should_stop=lambda: False
    )
    rows = [orjson.loads(line) for line in gzip.decompress(result.files.tracks.read_bytes()).splitlines()]
    identity = orjson.loads(result.files.report.read_bytes())["identity"]
    return judge(drawing, rows, identity)


def judge(drawing: Drawing, rows: Sequence[Mapping[str, Any]], identity: Mapping[str, Any]) -> Verdict:
    """Compare tracks with the truth; of the two ways to assign the people to the sides, the better one counts."""
    ways = [(drawing.left, drawing.right), (drawing.right, drawing.left)]
    found = [_wrong_spans(drawing, rows, way) for way in ways]
    best = min((0, 1), key=lambda way: sum(b - a for a, b in found[way]))
    missed = _missed(drawing, rows, ways[best])
    return Verdict(float(identity["confidence"]), identity["doubts"], found[best], missed, rows, identity)


def shown(tile: Mapping[str, Any] | None, truth: Mapping[str, Rect]) -> str | None:
    """Return whose face a tile is about at present, if that is clear."""
    if not tile or not tile.get("face") or tile["source"] in ("frozen", "placeholder"):
        return None
    box = Rect(*tile["face"])
    near = [name for name, face in truth.items() if _is_near(box, face)]
    return near[0] if len(near) == 1 else None


def _wrong_spans(
    drawing: Drawing, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[tuple[float, float]]:
    spans = []
    for side, name in zip(("left", "right"), names, strict=True):
        wrong = [_is_wrong(row.get(side), drawing.truth(n), name) for n, row in enumerate(rows)]
        for bad, part in groupby(enumerate(wrong), key=lambda item: item[1]):
            numbers = [n for n, _ in part]
            if bad and len(numbers) >= LEAST_WRONG_S * drawing.fps:
                spans.append((numbers[0] / drawing.fps, (numbers[-1] + 1) / drawing.fps))
    return sorted(spans)


def _is_wrong(tile: Mapping[str, Any] | None, truth: Mapping[str, Rect], name: str) -> bool:
    whose = shown(tile, truth)
    return whose is not None and whose != name


def _missed(drawing: Drawing, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> float:
    looks = [
        row.get(side) is not None and shown(row[side], drawing.truth(n)) == name
        for n, row in enumerate(rows)
        for side, name in zip(("left", "right"), names, strict=True)
        if name in drawing.truth(n)
    ]
    return 1 - sum(looks) / max(1, len(looks))


def _is_near(a: Rect, b: Rect) -> bool:
    return abs(a.cx - b.cx) < NEAR * b.w and abs(a.cy - b.cy) < NEAR * b.h
