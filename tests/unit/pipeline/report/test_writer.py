"""Report files: one form, whoever writes them, and what delivery fills in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.writer import add_delivery, encode_report, write_report


def document() -> dict[str, Any]:
    return {"verdict": "모두 찾음", "output": {"path": None, "bytes": 5}, "resilience": {"attempts": 1}}


def test_a_report_is_readable_json_that_ends_with_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "output.report.json"
    write_report(path, document())
    assert path.read_text(encoding="utf-8") == json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_delivery_fills_in_the_path_and_the_attempts_of_the_whole_job() -> None:
    report = document()
    add_delivery(report, "outbox/a.dual.mp4", 3)
    assert report["output"] == {"path": "outbox/a.dual.mp4", "bytes": 5}
    assert report["resilience"]["attempts"] == 3
    add_delivery(report, "b.dual.mp4")
    assert report["resilience"]["attempts"] == 3


@pytest.mark.parametrize("wrong", [{}, {"output": None}, {"output": {}, "resilience": []}])
def test_what_is_no_report_is_not_filled_in(wrong: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError)):
        add_delivery(wrong, "a.dual.mp4", 1)


@pytest.mark.parametrize("wrong", [2**70, object(), "\ud800"])
def test_what_json_cannot_hold_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError):
        encode_report({"value": wrong})
