"""The stages' threads while a stream is rendered."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.rendering.renderer import render


class Passing:
    """A stage that passes on what it gets, or the last one, which notes how long threads wait for each other."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.switch_s = 0.0

    def run(self, items: Any) -> Any:
        self.switch_s = sys.getswitchinterval()
        if self.error:
            raise self.error
        return list(items)


@pytest.mark.parametrize("error", [None, ValueError("no encoder")])
def test_stages_wait_briefly_for_each_others_python_and_nothing_else_does(tmp_path, error):
    usual_s, encode = sys.getswitchinterval(), Passing(error)
    job = SimpleNamespace(
        spec=SimpleNamespace(paths=SimpleNamespace(segments=tmp_path)),
        workload=SimpleNamespace(depth=1),
        telemetry=SimpleNamespace(stats_collector=None),
    )
    try:
        render(job, iter([]), Passing(), Passing(), encode)  # type: ignore[arg-type]
    except ValueError:
        assert error
    assert encode.switch_s == pytest.approx(1e-4)
    assert sys.getswitchinterval() == usual_s
