"""Corrections that a person makes after watching the result, in the sidecar NAME.dualface.yaml.

They are applied to decided rows, after recognition and cameras, so that each changes only what it names.

    swap: true                       # left and right are exchanged for the whole file
    swap_spans:                      # ... and exchanged (once more) in these stretches
      - {from: 1:05, to: 1:20.5}
    pins:                            # a tile shows this part of the source
      - {tile: left, from: 0, to: 12, crop: [100, 80, 640, 720]}
    profile: fast                    # another profile of the configuration
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, FiniteFloat, ValidationError, model_validator

from engines.frames import Rect
from engines.settings import Section
from pipeline.errors import PipelineError
from pipeline.full_frame import split
from pipeline.people import Row, Tile

_ASPECT = 8 / 9  # of a tile, width to height
_FULL_HEIGHT_LEAST = 16  # pixels
_MOST_PROBLEMS = 10  # in one message


class CorrectionsError(PipelineError):
    code = "SIDECAR_INVALID"
    remedy = "Correct the named line of the .dualface.yaml file and drop both files again."


def _seconds(value: Any) -> Any:
    """Convert "h:mm:ss.s" or "m:ss" to seconds; YAML converts some of these by itself."""
    if not isinstance(value, str):
        return value
    seconds = 0.0
    for part in value.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]


class TimeSpan(Section):
    """A time span of the video, in seconds since its first frame, without its end."""

    from_s: Annotated[Seconds, Field(alias="from", description="Begin", json_schema_extra={"unit": "s"})]
    to_s: Annotated[Seconds, Field(alias="to", description="End", json_schema_extra={"unit": "s"})]

    @model_validator(mode="after")
    def _ordered(self) -> TimeSpan:
        if self.to_s <= self.from_s:
            raise ValueError("'to' must be later than 'from'")
        return self

    def contains(self, t: float) -> bool:
        return self.from_s <= t < self.to_s


class Pin(TimeSpan):
    """A fixed crop of one tile for a time span, in pixels of the displayed source."""

    tile: Annotated[Literal["left", "right"], Field(description="Tile of the output")]
    crop: Annotated[
        tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat],
        Field(description="Left, top, width, height in the source", json_schema_extra={"unit": "pixels"}),
    ]

    @model_validator(mode="after")
    def _not_empty(self) -> Pin:
        if min(self.crop[2:]) < _FULL_HEIGHT_LEAST:
            raise ValueError(f"the crop must be at least {_FULL_HEIGHT_LEAST} pixels wide and high")
        return self


class Corrections(Section):
    """The content of a sidecar."""

    swap: Annotated[bool, Field(description="Exchange left and right for the whole file")] = False
    swap_spans: Annotated[
        tuple[TimeSpan, ...], Field(description="Stretches in which they are exchanged once more")
    ] = ()
    pins: Annotated[tuple[Pin, ...], Field(description="Stretches in which a tile shows a fixed crop")] = ()
    profile: Annotated[str | None, Field(description="Profile to use instead of the inbox's")] = None

    def apply(self, row: Row, width: int, height: int) -> Row:
        """Return the row as it is shown.

        Args:
            width, height: of the displayed source in pixels, for rows that do not have their own size.
        """
        if self.swap != any(span.contains(row.t) for span in self.swap_spans):
            row = replace(row, left=row.right, right=row.left)
        for pin in self.pins:
            if pin.contains(row.t):
                row = _pin(split(row), pin, fitted(Rect(*pin.crop), *(row.frame or (width, height))))
        return row


NO_CORRECTIONS = Corrections()


def _pin(row: Row, pin: Pin, crop: Rect) -> Row:
    if pin.tile == "left":
        return replace(row, left=_pinned(row.left, crop))
    return replace(row, right=_pinned(row.right, crop))


def _pinned(tile: Tile, crop: Rect) -> Tile:
    return replace(tile, crop=crop, source="held", still_pts=None)


def fitted(crop: Rect, width: int, height: int) -> Rect:
    """Return the smallest 8:9 rectangle around ``crop``, moved and, if necessary, shrunk to lie inside the frame."""
    h = min(max(crop.h, crop.w / _ASPECT), height, width / _ASPECT)
    w = h * _ASPECT
    return Rect(min(max(crop.cx - w / 2, 0), width - w), min(max(crop.cy - h / 2, 0), height - h), w, h)


def parse(text: str, profiles: Collection[str] | None = None) -> Corrections:
    """Read a sidecar.

    Args:
        profiles: names of the existing profiles; None accepts any name.

    Raises:
        CorrectionsError: the text is wrong; the message names the lines.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        named_twice = list(_named_twice(node, set()))
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise CorrectionsError(f"The sidecar is no valid YAML, line {line}: {exc.problem}.") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # also impossible dates, and nesting without end
        raise CorrectionsError(f"The sidecar is no valid YAML: {exc}.") from exc
    if data is None:
        return NO_CORRECTIONS
    if named_twice:
        raise CorrectionsError("The sidecar cannot be used: " + "; ".join(named_twice[:_MOST_PROBLEMS]) + ".")
    try:
        corrections = Corrections.model_validate(data)
    except ValidationError as exc:
        problems = [_explain(error["loc"], error["msg"].removeprefix("Value error, "), node) for error in exc.errors()]
        problems[_MOST_PROBLEMS:] = ["and more"] if len(problems) > _MOST_PROBLEMS else []
        raise CorrectionsError("The sidecar cannot be used: " + "; ".join(problems) + ".") from exc
    if profiles is not None and corrections.profile not in {None, *profiles}:
        problem = f"there is no profile '{corrections.profile}', only {', '.join(sorted(profiles))}"
        raise CorrectionsError(f"The sidecar cannot be used: {_explain(('profile',), problem, node)}.")
    return corrections


def _named_twice(node: yaml.Node | None, seen: set[int]) -> Iterator[str]:
    """Yield a message for each repeated key of a mapping, of which YAML would silently keep the last.

    Args:
        seen: ids of the nodes that are done, as an alias leads to a node again.
    """
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _named_twice(child, seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if str(key.value) in lines:
                yield f"line {line}: {key.value} is named twice, first in line {lines[str(key.value)]}"
            lines.setdefault(str(key.value), line)
            yield from _named_twice(value, seen)


def _explain(location: tuple[int | str, ...], problem: str, node: yaml.Node | None) -> str:
    where = ".".join(str(part) for part in location)
    return f"line {_line(node, location)}: {where + ': ' if where else ''}{problem}"


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Return the line, from 1, of the deepest part of ``location`` that is in the file."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in location:
        child = _child(node, part)
        if child is None:
            break
        line, node = child
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
