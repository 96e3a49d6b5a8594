"""Boards in every state, for pages to look at."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np

from daemon.pages.i18n import Translator, languages
from daemon.status.model import (
    FailedJob,
    FinishedJob,
    HostLine,
    IgnoredFile,
    InboxLine,
    QueuedFile,
    RunningJob,
    ServiceStatus,
    WaitingJob,
    link_to,
)
from daemon.status.page import page_of
from engines.media_warnings import media_warning

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)<!--</script>\"'`{{7*7}}&amp;\u202e.mp4"
LONG = "A_very_long_name_without_any_place_to_break_it_" * 3 + "end.mp4"


def ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="seconds")


def busy(**changes: Any) -> ServiceStatus:
    """Two hosts with everything that can be shown at once."""
    board = ServiceStatus(host="studio-1", pid=1, state="working", queued=34, settling=2, updated_at=ago(0))
    board.inboxes = [InboxLine("inbox/podcasts", "default"), InboxLine("inbox/lessons", "small")]
    board.running = list(_running())
    board.waiting = [WaitingJob("w1", "inbox/podcasts/x.mp4", "No space left on device", "studio-1", "DISK_FULL")]
    board.queue = [QueuedFile(f"inbox/lessons/Session {n}.mp4", "small", n * 734_000_000) for n in range(1, 6)]
    board.arriving = ["inbox/podcasts/still copying.mov", f"inbox/{HOSTILE}"]
    board.ignored = [IgnoredFile("inbox/podcasts/notes.docx", "EXTENSION"), IgnoredFile(f"inbox/{HOSTILE}", "LINK")]
    board.finished = list(_finished())
    board.failed = list(_failed())
    board.hosts = [
        HostLine("studio-1", "working", "", "normal", 1, ago(0)),
        HostLine("studio-2", "silent", "", "downscale", 2, ago(9)),
    ]
    for name, value in changes.items():
        setattr(board, name, value)
    return board


def empty(**changes: Any) -> ServiceStatus:
    """One host that has nothing to do."""
    board = ServiceStatus(
        host="studio-1", pid=1, state="idle", updated_at=ago(0), inboxes=[InboxLine("inbox", "default")]
    )
    for name, value in changes.items():
        setattr(board, name, value)
    return board


def _running() -> Iterator[RunningJob]:
    name = "inbox/podcasts/Interview – final.mp4"
    yield RunningJob("j1", name, "render", 41.5, 94, 760, "normal", 1, "studio-1", "", 3.2)
    reason = "the GPU's memory is over 70 %"
    degraded = RunningJob("j2", "inbox/수학 3강.mov", "render", 12.3, 31, 4200, "downscale", 2, "studio-2", reason, 1.1)
    yield replace(degraded, level_trip="vram_guard")
    yield RunningJob("j3", f"inbox/{LONG}", "probe", None, 0, None, "normal", 1, "studio-2")


def _finished() -> Iterator[FinishedJob]:
    yield done(1, "Interview A", 1)
    notes = ["People are told apart by motion alone: the recognition model is missing.", f"CUDA is not used: {HOSTILE}"]
    besides = {"sound": "transcoded", "sound_damaged": True, "cpu_fallback": True, "notes": notes}
    yield done(2, "긴 대담 2부", 2, repaired_swaps=2, resumed=1, duration_s=5025, **besides)
    gap = media_warning("AUDIO_GAP", stream=1, from_s=65, to_s=80).to_json()
    warnings = [gap, gap | {"message": HOSTILE, "message_ko": HOSTILE}]
    yield done(3, HOSTILE.replace("/", "∕"), 3, people=1, degraded_s=95, warnings=warnings)
    yield done(4, "Old one", 60 * 30)
    yield FinishedJob("d5", "inbox/old.mp4", "outbox/old.dual.mp4", "old.dual.mp4", "succeeded", "fine", ago(4000))


def done(number: int, stem: str, minutes: float, **facts: Any) -> FinishedJob:
    known = {"people": 2, "duration_s": 1390, "realtime": 3.14, "replaced_frames": 0, "truncated": False}
    output = f"outbox/{stem}.dual.mp4"
    links = {kind: link_to(f"outbox/{stem}.dual.{end}") for kind, end in _ENDS.items()}
    names = f"d{number}", f"inbox/{stem}.mp4", output, link_to(output)
    return FinishedJob(*names, "succeeded", "fine", ago(minutes), "studio-1", links, {**known, **facts})


_ENDS = {"preview": "preview.jpg", "html": "report.html", "report": "report.json", "tracks": "tracks.jsonl.gz"}


def _failed() -> Iterator[FailedJob]:
    yield FailedJob(
        "f1", "inbox/podcasts/letter.mp4", "NOT_MEDIA", "Invalid data found when processing input.",
        "This is not a video file, whatever its name says. Export it again as MP4, MOV or MKV.", ago(30), "studio-1",
        "failed/letter.report.json", "../failed/letter.report.json",
    )  # fmt: skip
    yield FailedJob("f2", HOSTILE, "SOMETHING_NEW", HOSTILE, f"Do {HOSTILE}", ago(50), "studio-2")


STATES = {
    "busy": busy,
    "idle": empty,
    "paused": lambda: busy(state="paused", reason_values={"text": f"점검 중 until 15:00 {HOSTILE}"}, running=[]),
    "low_space": lambda: busy(state="low_space", reason_values={"needed_bytes": 2**31}, running=[], hosts=[]),
    "stale": lambda: busy(updated_at=ago(47)),
    "stopped": lambda: busy(state="stopped", running=[], hosts=[], updated_at=ago(200)),
}


@functools.cache
def sheet() -> bytes:
    """Something like a contact sheet."""
    squares = np.indices((1200, 1920)).sum(axis=0) // 160 % 2 * 160 + 40
    return bytes(cv2.imencode(".jpg", squares.astype(np.uint8))[1])


def write(folder: Path, board: ServiceStatus, language: str = "auto") -> Path:
    """The page of a board with the preview frames that it names, replaced as the service replaces it."""
    folder.mkdir(parents=True, exist_ok=True)
    for job in board.finished:
        if "preview" in job.links:
            (folder / unquote(job.links["preview"])).write_bytes(sheet())
    part = folder / ".status.html.part"
    part.write_bytes(page_of(board, Translator(languages(language))))
    return part.replace(folder / "status.html")
