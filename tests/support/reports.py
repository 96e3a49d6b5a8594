"""Finished jobs made up for tests of the HTML report."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson

from daemon.pages.report_page import add_report_page
from pipeline.job import Deliverables, JobResult

HOSTILE = "in/\u202e<img src=x onerror=alert(1)>\"'&.mp4"


def finished_job(folder: Path, *, seconds: float = 10.0, **changes: Any) -> JobResult:
    """A job of a hostile name whose right person is away for a while; ``changes`` go into its report."""
    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, round(seconds * 30))
    report, tracks, preview = (folder / f"output.{end}" for end in ("report.json", "tracks.jsonl.gz", "preview.jpg"))
    report.write_bytes(orjson.dumps(_report(seconds) | changes))
    tracks.write_bytes(gzip.compress(b"".join(orjson.dumps(_row(n, count)) + b"\n" for n in range(count))))
    cv2.imwrite(str(preview), np.full((40, 60, 3), 90, np.uint8))
    facts = {"people": 2, "duration_s": seconds, "realtime": 2.5}
    files = Deliverables(folder / "output.mp4", report, tracks, preview)
    return JobResult("succeeded", files, "Both people were found.", count, seconds, 4.0, facts)


def write_report_page(folder: Path, *languages: Any, **changes: Any) -> Path:
    page = add_report_page(finished_job(folder, **changes), languages or ("en", "ko")).files.html
    assert page is not None
    return page


def _row(number: int, count: int) -> dict[str, Any]:
    def tile(x: float, source: str) -> dict[str, Any]:
        return {"person": 1, "face": None, "crop": [x, 0, 480, 540], "source": source}

    away = 0.5 <= number / count < 0.75
    return {
        "frame": number,
        "t": round(number / 30, 6),
        "left": tile(0, "detected" if number % 2 else "tracked"),
        "right": tile(480, "frozen" if away else "detected"),
    }


def _report(seconds: float) -> dict[str, Any]:
    stage = {"total_s": 1.0, "p50_ms": 2.0, "p95_ms": 4.0, "p99_ms": 8.0}
    return {
        "status": "succeeded",
        "verdict": "Both people were found.",
        "job": "0123456789ab",
        "host": "studio",
        "profile": "default",
        "config_hash": "f" * 64,
        "input": {"path": HOSTILE, "bytes": 5, "video": {"width": 960, "height": 540, "codec": HOSTILE}, "audio": []},
        "output": {"path": None, "bytes": 7, "frames": 300, "duration_s": seconds},
        "identity": {"people_seen": 2, "repaired_swaps": [{"t": 2.5}]},
        "timing": {"wall_s": 4.0, "stages": {"decode": stage, "encode": stage | {"p99_ms": 16.0}}},
        "degradation": [{"from_s": 5.0, "to_s": 7.5, "level": "downscale", "reason": "little memory"}],
        "backends": {"cpu_fallback": True, "notes": ["no <b>GPU</b>"]},
        "compute": {"backend": "cpu", "cpu_features": "avx2 fma"},
        "resilience": {"attempts": 1},
        "versions": {"python": "3.11"},
        "models": [{"name": "m", "licence": "MIT", "sha256": "0" * 64}],
    }
