"""Judging a cell from outside: what the share holds in the end, what was seen meanwhile, what the journals say."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from tests.faults.setting import NAME, Setting
from tests.faults.watch import Watcher
from tests.support.recordings import copied_audio, packets
from tests.support.service import outputs

_SEGMENT = re.compile(r"/segments/(\d+)\.h264\.part$")


@dataclass(slots=True)
class Verdict:
    """How a cell ended. ``wrongs`` is empty where everything is as it must be."""

    outcome: str  # "delivered", "failed: CODE" or "nothing"
    wrongs: list[str] = field(default_factory=list)
    attempts: int = 0
    repeated: int = 0  # segments that were begun again
    waits: list[str] = field(default_factory=list)  # codes of what made the job wait
    restarts: int = 0
    seconds: float = 0.0


def judge(setting: Setting, watcher: Watcher, *, may_degrade: bool, redone: int = 1) -> Verdict:
    """Look at everything that a cell has left. The services have ended.

    Args:
        redone: segments that may be begun again for each time that the fault struck.
    """
    wrongs = list(watcher.wrongs)
    outcome, attempts = _outcome(setting, wrongs, may_degrade=may_degrade)
    wrongs += _original(setting) + _leftovers(setting) + _journals(setting)
    again = repeated(setting.control.trace())
    if len(again) > redone * max(1, setting.control.hits):
        wrongs.append(f"segments {sorted(again)} were begun again")
    waits = [line["code"] for line in setting.events("job waits")]
    return Verdict(outcome, wrongs, attempts, len(again), waits, len(setting.ends))


def _outcome(setting: Setting, wrongs: list[str], *, may_degrade: bool) -> tuple[str, int]:
    outbox, failed = _files(setting.disk / "outbox"), _files(setting.disk / "failed")
    if outbox:
        wrongs += _delivery(setting, outbox, may_degrade=may_degrade)
        wrongs += ["delivered and failed"] if failed else []
        return "delivered", _report(setting.disk / f"outbox/{NAME}.dual.report.json").get("resilience", {}).get(
            "attempts", 0
        )
    if failed:
        report = _report(setting.disk / f"failed/{NAME}.report.json")
        wrongs += _explanation(report, failed)
        return f"failed: {(report.get('error') or {}).get('code')}", report.get("resilience", {}).get("attempts", 0)
    wrongs.append("neither delivered nor failed")
    return "nothing", 0


def _delivery(setting: Setting, outbox: set[str], *, may_degrade: bool) -> list[str]:
    """Exactly one output, complete, and the one of an undisturbed run, or one that says where it was cut down."""
    if outbox != outputs(NAME):
        return [f"the outbox holds {sorted(outbox)}"]
    video = setting.disk / f"outbox/{NAME}.dual.mp4"
    report = _report(setting.disk / f"outbox/{NAME}.dual.report.json")
    degraded = report.get("status") == "succeeded_degraded"
    wrongs = [] if degraded or report.get("status") == "succeeded" else [f"its status is {report.get('status')}"]
    frames = _decoded_frames(video)
    if frames != report.get("output", {}).get("frames"):
        wrongs.append(f"{frames} frames decode")
    if degraded and not may_degrade:
        wrongs.append(f"the quality was lowered: {report['degradation']}")
    elif degraded:
        wrongs += _cut_down(setting, report, video)
    elif packets(video) != setting.reference.packets:
        wrongs.append("the video is not that of an undisturbed run")
    return wrongs


def _cut_down(setting: Setting, report: dict[str, Any], video: Path) -> list[str]:
    """Where memory ran out, frames may be softer or fewer; the audio and the length are the same."""
    wrongs = [] if any(span.get("reason") for span in report["degradation"]) else ["degraded without a reason"]
    if packets(video, "audio") != copied_audio(setting.reference.recording):
        wrongs.append("the audio has changed")
    times, whole = ([pts for pts, _, _ in sorted(found)] for found in (packets(video), setting.reference.packets))
    skipped = len(whole) - len(times)
    if not set(times) <= set(whole) or skipped != report["resilience"]["dropped_frames"] or whole[-2] > times[-1]:
        wrongs.append("frames are missing that the report does not count")
    return wrongs


def _explanation(report: dict[str, Any], failed: set[str]) -> list[str]:
    """One report that says why, and what to do."""
    error = report.get("error") or {}
    wrongs = [f"the report has no {name}" for name in ("code", "message", "remedy") if not error.get(name)]
    if failed != {f"{NAME}.mp4", f"{NAME}.report.json"}:
        wrongs.append(f"failed holds {sorted(failed)}")
    return wrongs


def _original(setting: Setting) -> list[str]:
    """The dropped file exists once, unchanged, outside the state directory."""
    wanted = _sha256(setting.reference.recording)
    found = [path for path in setting.disk.rglob("*") if path.is_file() and _sha256(path) == wanted]
    names = sorted(str(path.relative_to(setting.disk)) for path in found)
    return [] if names in (["originals/x.mp4"], ["failed/x.mp4"]) else [f"the original lies at {names}"]


def _leftovers(setting: Setting) -> list[str]:
    jobs = [path.name for path in setting.disk.glob(".dualface/jobs/*")]
    others = _files(setting.disk / "inbox") | (_files(setting.disk / "originals") - {f"{NAME}.mp4"})
    hidden = [str(p.relative_to(setting.disk)) for p in setting.disk.rglob("*.part")]
    return [f"left over: {sorted([*jobs, *others, *hidden])}"] if jobs or others or hidden else []


def _journals(setting: Setting) -> list[str]:
    """No fault of the program, and each end of the job logged once."""
    lines = [line for service in setting.services for line in service.journal()]
    errors = [line for line in lines if line["level"] in ("error", "critical")]
    wrongs = [f"journal: {line['event']}" for line in errors if "MemoryError" not in line.get("exception", "")]
    ends = sum(1 for line in lines if line["event"] in ("job delivered", "job failed"))
    if ends > 1 or (ends == 0 and not setting.ends):  # a service that is killed may not log it
        wrongs.append(f"the end of the job was logged {ends} times")
    return [wrong for wrong in wrongs if wrong != "journal: service cannot run"]


def repeated(trace: list[tuple[int, str, str, str]]) -> set[int]:
    """Segments that were begun more than once."""
    begun = (_SEGMENT.search(path) for _, _, operation, path in trace if operation == "create")
    counts = Counter(int(match[1]) for match in begun if match)
    return {index for index, count in counts.items() if count > 1}


def _files(folder: Path) -> set[str]:
    if not folder.exists():
        return set()
    return {p.name for p in folder.iterdir() if not p.name.startswith((".", "status."))}


def _report(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return document


def _decoded_frames(path: Path) -> int:
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
