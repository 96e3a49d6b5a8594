"""Hashes of all that shapes a job's output; a checkpoint is used only by a job with the same fingerprint.

Hardware and software shape the output as well; a checkpoint keeps their ``engines.compute_class`` beside the hash.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from engines.models.catalogue import DLIB_FACE_RESNET, YUNET
from pipeline.job import JobSpec

MODELS = (YUNET, DLIB_FACE_RESNET)

_SAMPLES = 16
_SAMPLE_BYTES = 16_384
_CHUNK_BYTES = 1 << 18
_WAIT_S = 1.0


def source_identity(path: Path) -> dict[str, Any]:
    """Return the size of a file and the hash of samples from all of it, which tells it from others at once.

    A damaged copy may have the same identity; ``FileDigest`` decides whether work on another file may be used.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe in its place would wait for a writer
    with os.fdopen(fd, "rb") as f:
        for n in range(_SAMPLES):
            f.seek(max(0, size - _SAMPLE_BYTES) * n // (_SAMPLES - 1))
            digest.update(f.read(_SAMPLE_BYTES))
    return {"bytes": size, "samples": digest.hexdigest()}


def config_hash(spec: JobSpec) -> str:
    """Return the hash of the settings that shape the output."""
    settings = {
        "profile": spec.profile.model_dump(mode="json"),
        "segments": spec.segments.model_dump(mode="json"),
    }
    return _digest(settings)


def fingerprint(spec: JobSpec) -> str:
    """Return the hash of source, settings, models and the program's version, which reads the checkpoint."""
    return _digest(
        {
            "source": source_identity(spec.source),
            "config": config_hash(spec),
            "models": {model.name: model.sha256 for model in MODELS},
            "program": version("dualface"),
        }
    )


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class FileDigest:
    """SHA-256 of a whole file, computed by a thread of its own while the job works.

    Attributes:
        known: the digest, "" until it is computed.
        read_bytes: number of bytes that are read so far.
    """

    def __init__(self, path: Path) -> None:
        self.known = ""
        self.read_bytes = 0
        self._path = path
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._compute, name="sha256", daemon=True)
        self._thread.start()

    def _compute(self) -> None:
        digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK_BYTES))
        try:
            with self._path.open("rb", buffering=0) as f:
                while size := f.readinto(buffer):
                    digest.update(buffer[:size])
                    self.read_bytes += size
            self.known = digest.hexdigest()
        except OSError as exc:
            self._error = exc

    def result(self, on_wait: Callable[[], None] = lambda: None) -> str:
        """Wait for the digest.

        Args:
            on_wait: called about once a second meanwhile; may raise to end the wait.

        Raises:
            OSError: the file could not be read.
        """
        self._thread.join(_WAIT_S)
        while self._thread.is_alive():
            on_wait()
            self._thread.join(_WAIT_S)
        if self._error is not None:
            raise self._error
        return self.known
