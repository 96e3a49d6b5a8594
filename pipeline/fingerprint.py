"""What a job is asked to do, as one hash: a checkpoint is good only for the same one.

What does it shapes the output, too: ``engines.compute_class``, which a checkpoint keeps beside the hash.
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

from pipeline.job import JobSpec

_SAMPLES = 16
_SAMPLE_BYTES = 16_384
_CHUNK_BYTES = 1 << 18
_WAIT_S = 1.0


def source_identity(path: Path) -> dict[str, Any]:
    """Size of a file and hash of samples from its begin to its end: enough to tell it from others, at once.

    A damaged copy may have the same: before work on another file is relied on, ``FileDigest`` decides.
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
    """Hash of the settings that shape the output."""
    settings = {
        "profile": spec.profile.model_dump(mode="json"),
        "segments": spec.segments.model_dump(mode="json"),
    }
    return _digest(settings)


def fingerprint(spec: JobSpec, models: dict[str, str]) -> str:
    """Hash of source, settings, models (name to sha256) and the program's version, which reads the checkpoint."""
    return _digest(
        {
            "source": source_identity(spec.source),
            "config": config_hash(spec),
            "models": models,
            "program": version("dualface"),
        }
    )


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


class FileDigest:
    """SHA-256 of a whole file, computed beside the work by a thread of its own.

    Attributes:
        known: the digest, "" until it is.
        read_bytes: how far the file is read.
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
            on_wait: called every now and then meanwhile; what it raises goes through.

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
