"""Orders and answers go through a pipe as JSON, and come out as they went in."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from daemon.worker.part_work import to_json
from pipeline.segments.segment import SegmentRecord
from pipeline.splitting.orders import (
    Answer,
    Counts,
    DetectPart,
    EncoderPin,
    Order,
    PartFailed,
    PartProgress,
    RenderPart,
    SegmentsRendered,
    TableWritten,
    WorkerLeft,
    answer_from_json,
    order_from_json,
)
from pipeline.splitting.part import Part

PART = Part(3, 6, 8, -5, None)
COMPUTE = {"backend": "cpu", "cpu_features": "avx2"}
RECORD = SegmentRecord(6, 1, 9, 2, 5, 1000, "plan", "digest", lost=[[1, 2]])


@pytest.mark.parametrize(
    "order",
    [
        DetectPart(PART, "0003-1", 40, COMPUTE, 2),
        RenderPart(PART, "0003-2", 40, COMPUTE, 100, 1 / 3, EncoderPin("libx264", 3, "00ff")),
        RenderPart(PART, "0003-2", 40, COMPUTE, 0, None, EncoderPin()),
    ],
)
def test_orders(order: Order) -> None:
    assert order_from_json(json.loads(json.dumps(to_json(order)))) == order


@pytest.mark.parametrize(
    "answer",
    [
        PartProgress("0003-1", 0.1, 3),
        TableWritten("0003-1", "digest", {"detect": (1.5, 20)}, "a flaw"),
        SegmentsRendered("0003-1", (RECORD, RECORD), "libx264", "00ff", {}),
        PartFailed("0003-1", "no memory"),
        WorkerLeft(),
    ],
)
def test_answers(answer: Answer) -> None:
    assert answer_from_json(json.loads(json.dumps(to_json(answer)))) == answer


def test_others_are_refused() -> None:
    with pytest.raises(KeyError):
        order_from_json({"kind": "WorkerLeft", "reason": ""})
    with pytest.raises(ValidationError):
        answer_from_json({"kind": "PartProgress", "folder": "0003-1", "seconds": "many", "frames": 1})


def test_times_add_up() -> None:
    counts = Counts()
    counts.add("decode", 1.5, 2)
    counts.add("decode", 0.5, 3)
    assert counts.times == {"decode": (2.0, 5)}
