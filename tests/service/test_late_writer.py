"""A writer that stalls for longer than the time to settle, and then goes on."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from tests.support.recordings import write_recording
from tests.support.service import Service, outputs


@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_a_recording_that_grows_while_it_is_worked_on_is_delivered_whole(
    service: Service, tmp_path: Path, container: str
) -> None:
    """Half of a stream plays, half of an MP4 is damaged; both are begun anew when the rest has come."""
    path = write_recording(tmp_path / f"x.{container}", seconds=4, fps=15, size=(320, 180))
    content = path.read_bytes()
    half = len(content) // 2
    service.start()
    assert service.process is not None
    service.inbox(path.name).write_bytes(content[:half])
    service.wait_for(lambda: service.events("job started") and service.workers(), "the work")
    [worker], [job] = service.workers(), service.jobs()
    service.process.send_signal(signal.SIGSTOP)  # so that the rest comes between the work and what follows from it
    service.wait_for(lambda: worker.status() == psutil.STATUS_ZOMBIE, "the end of the work")
    with (job / "source").open("ab") as late:  # as another machine, which nobody here sees, through its open file
        late.write(content[half:])
    service.process.send_signal(signal.SIGCONT)
    service.wait_for(lambda: service.files("originals") | service.files("failed"), "the end")
    service.wait_for(lambda: service.jobs() == [], "the end of the job")
    assert service.files("failed") == set()
    assert service.files("outbox") == outputs("x")
    assert (service.root / "originals" / path.name).read_bytes() == content
    report = service.report("outbox/x.dual.report.json")
    assert (report["status"], report["output"]["frames"]) == ("succeeded", 60)
