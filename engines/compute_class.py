"""The compute class: hardware and software that shape a job's output besides its source and its settings.

Decoded, scaled and detected frames are not the same to the last bit on every machine: OpenCV, swscale, ONNX Runtime
and OpenBLAS choose their code by what the processor can do, and a GPU's libraries by its generation. Machines of one
class give the same packets; so parts of a job can only be joined where they come from one class.

Cores and threads are not part of it: no result depends on them, except on x264's threads, which a job records.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from engines.versions import gpu_versions, host_versions

_CPU_INFO = Path("/proc/cpuinfo")
_CODE_CHOSEN_BY = {  # the key of /proc/cpuinfo, and how the names of such instruction sets begin
    "flags": re.compile("abm|amx|avx|bmi|f16c|fma|gfni|mmx|pni|popcnt|sse|ssse|vaes|vpclmul|xop"),
    "Features": re.compile("asimd|bf16|fphp|i8mm|neon|sme|sve"),
}
_CORE_NAMES = ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename")
_LABELS = {
    "backend": "backend",
    "machine": "architecture",
    "blas": "OpenBLAS kernels",
    "gpu": "GPU",
    "generation": "compute capability",
    "inference": "inference",
    "cpu_features": "CPU features",
    "opencv_features": "CPU features that OpenCV uses",
}
_LISTS = ("cpu_features", "opencv_features")


@dataclass(frozen=True, slots=True)
class ComputeClass:
    """Two jobs of one class give the same packets for the same source and settings.

    Attributes:
        backend: "cpu" or "cuda".
        machine: architecture of the processor, "x86_64".
        cpu_features: instruction sets that libraries choose their code by, separated by blanks.
        opencv_features: those of them that OpenCV is built for and may use.
        blas: the processor for which OpenBLAS, under NumPy, has chosen its kernels; "" where that is not known.
        gpu, generation: name and compute capability ("sm90"); "" on the CPU.
        inference: runtime and precision of detector and face embedding; "" until they are open.
        versions: of all software that takes part.
    """

    backend: str = ""
    machine: str = ""
    cpu_features: str = ""
    opencv_features: str = ""
    blas: str = ""
    gpu: str = ""
    generation: str = ""
    inference: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def on_gpu(self, name: str, generation: str, cuda: str) -> ComputeClass:
        """Return this class with the work on a GPU; ``cuda`` is the version that its driver supports."""
        versions = self.versions | gpu_versions() | {"cuda-driver": cuda}
        return replace(self, backend="cuda", gpu=name, generation=generation, versions=versions)

    def with_inference(self, *engines: str) -> ComputeClass:
        """Return this class with the names of the open engines."""
        return replace(self, inference=", ".join(engines))

    def differences(self, earlier: ComputeClass) -> list[str]:
        """Return what differs from an earlier class, in words; empty if both are equal."""
        return [*self._changed_fields(earlier), *self._changed_versions(earlier)]

    def _changed_fields(self, earlier: ComputeClass) -> Iterator[str]:
        for name, label in _LABELS.items():
            now, before = getattr(self, name), getattr(earlier, name)
            if now != before and name in _LISTS:
                yield f"{label}: {' '.join(sorted(set(now.split()) ^ set(before.split())))}"
            elif now != before:
                yield f"{label}: {now or 'none'} instead of {before or 'none'}"

    def _changed_versions(self, earlier: ComputeClass) -> Iterator[str]:
        for name in sorted(self.versions.keys() | earlier.versions.keys()):
            now, before = self.versions.get(name, "none"), earlier.versions.get(name, "none")
            if now != before:
                yield f"{name}: {now} instead of {before}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> ComputeClass:
        """Return the class that ``to_json`` described. Missing fields are empty, unknown ones are ignored."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in body.items() if name in known})


@functools.cache
def host_class() -> ComputeClass:
    """Return the class of work on this machine's CPU."""
    return ComputeClass(
        backend="cpu",
        machine=platform.machine(),
        cpu_features=cpu_features(_CPU_INFO.read_text() if _CPU_INFO.exists() else ""),
        opencv_features=opencv_features(cv2.getCPUFeaturesLine()),
        blas=_blas_core(),
        versions=host_versions() | {"ffmpeg": av.ffmpeg_version_info},
    )


def cpu_features(cpu_info: str) -> str:
    """Return the instruction sets for computing that /proc/cpuinfo lists for the first core."""
    for line in cpu_info.splitlines():
        key, _, names = line.partition(":")
        if beginnings := _CODE_CHOSEN_BY.get(key.strip()):
            return " ".join(sorted(filter(beginnings.match, names.split())))
    return ""


def opencv_features(line: str) -> str:
    """Return the features in use of ``cv2.getCPUFeaturesLine``: "*" is chosen at run time, "?" is missing or off."""
    return " ".join(sorted(word.lstrip("*") for word in line.split() if not word.endswith("?")))


def _blas_core() -> str:
    """Return the processor name that the OpenBLAS in NumPy's wheel reports."""
    for path in (Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))  # loaded already
        for name in _CORE_NAMES:
            if ask := getattr(library, name, None):
                ask.restype = ctypes.c_char_p
                return str(ask().decode())
    return ""
