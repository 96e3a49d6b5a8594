"""A read of the recording that fails in the middle of the work: waited out, and never the end of the recording."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import preload
from tests.faults.preload import Call, Control, Rule
from tests.support.recordings import packets, write_recording
from tests.support.service import Service, outputs

pytestmark = pytest.mark.skipif(preload.compiler() is None, reason="no C compiler builds the shim")


@pytest.mark.parametrize(("kind", "nth"), [("mkv", 12), ("ts", 30)])
def test_a_failed_read_cuts_nothing_off(
    make_service: Callable[..., Service], tmp_path: Path, kind: str, nth: int
) -> None:
    service = make_service()
    control = Control(tmp_path / "control")
    rule = Rule(Call("worker", "read", "*/source", nth), "fail", number=errno.EIO)
    service.environment = control.environment(preload.build(tmp_path), service.root, rule)
    recording = write_recording(tmp_path / f"x.{kind}", seconds=2, fps=15, size=(320, 180))
    recording.rename(service.inbox(recording.name))
    service.start()
    service.wait_for(lambda: service.exists(f"originals/x.{kind}"), "the delivery", timeout_s=240)
    assert control.hits == 1
    assert [line["code"] for line in service.events("job waits")] == ["STORAGE"]
    assert service.files("failed") == set()
    assert service.files("outbox") == outputs("x")
    assert len(packets(service.root / "outbox/x.dual.mp4")) == 30
    report = service.report("outbox/x.dual.report.json")
    assert (report["status"], report["resilience"]["truncated"]) == ("succeeded", False)
    assert (report["resilience"]["attempts"], report["resilience"]["decode_errors"]) == (1, 0)
