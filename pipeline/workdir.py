"""Names of the files and folders in a job's work directory.

The service has more files in it, such as the source and the lease; ``daemon.layout`` names those.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKPOINT = "checkpoint.json"
SEGMENTS = "segments"  # a folder
THUMBNAILS = "preview"  # a folder
PARTS = "parts"  # a folder; see ``pipeline.splitting``
RESUMABLE = (SEGMENTS, THUMBNAILS, CHECKPOINT)  # the checkpoint last: it names the files in the others

# The finished files by kind, in the order of publication: the presence of the report says "complete".
# The service publishes them under a name of the recording's own with the same suffix.
OUTPUT_SUFFIXES = {
    "video": ".mp4",
    "tracks": ".tracks.jsonl.gz",
    "preview": ".preview.jpg",
    "debug": ".debug.mp4",
    "html": ".report.html",
    "report": ".report.json",
}
ALWAYS_MADE = ("video", "tracks", "preview", "report")  # the others are made on request

_OUTPUT_STEM = "output"
_JOINED = "joined"


@dataclass(frozen=True, slots=True)
class WorkDir:
    """The work directory of one job."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def segments(self) -> Path:
        return self.path / SEGMENTS

    @property
    def thumbnails(self) -> Path:
        return self.path / THUMBNAILS

    @property
    def parts(self) -> Path:
        return self.path / PARTS

    @property
    def joined(self) -> Path:
        """The recording that was joined from its parts; either whole or not there."""
        return self.path / _JOINED

    def output(self, kind: str) -> Path:
        """Return the path of a finished file of a kind of ``OUTPUT_SUFFIXES``."""
        return self.path / f"{_OUTPUT_STEM}{OUTPUT_SUFFIXES[kind]}"
