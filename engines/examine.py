"""What the codecs, GPUs and runtimes of this machine can do, as JSON: ``python -m engines.examine TOPIC [INDEX]``.

It is a separate program because it loads codecs and drivers. What takes only a moment is tried rather than looked up.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from engines.cache_dir import default_cache_dir
from engines.cpu.decode import PyAvDecoder
from engines.cpu.encode import X264Encoder
from engines.errors import Component, DeviceUnavailableError
from engines.frames import ColorTags, Frame
from engines.inference.build import find_library
from engines.json_answer import answer
from engines.media.probe import probe
from engines.nvml import cuda_version, describe_gpus
from engines.priority import priority_kept
from engines.settings import EncoderSettings
from engines.versions import driver_version

_WIDTH, _HEIGHT, _FRAMES = 256, 128, 5
_BIT_DEPTHS = (8, 10)
_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia0")

# What recordings come in: FFmpeg's name of the decoder, an encoder that can make a sample, container, pixel format.
_SAMPLES = {
    "h264": ("libx264", "mp4", "yuv420p"),
    "h264, 10 bits": ("libx264", "mp4", "yuv420p10le"),
    "hevc": ("libx265", "mp4", "yuv420p"),
    "hevc, 10 bits": ("libx265", "mp4", "yuv420p10le"),
    "av1": ("libsvtav1", "mp4", "yuv420p"),
    "vp9": ("libvpx-vp9", "webm", "yuv420p"),
    "vp8": ("libvpx", "webm", "yuv420p"),
    "prores": ("prores_ks", "mov", "yuv422p10le"),
    "dnxhd": ("dnxhd", "mov", "yuv422p"),
    "mpeg4": ("mpeg4", "mp4", "yuv420p"),
    "mpeg2video": ("mpeg2video", "mpg", "yuv420p"),
    "mjpeg": ("mjpeg", "mov", "yuvj420p"),
    "wmv2": ("wmv2", "asf", "yuv420p"),
}
_OPTIONS = {"dnxhd": {"profile": "dnxhr_sq"}, "libx265": {"x265-params": "log-level=none"}}


def cpu() -> dict[str, Any]:
    """Return what PyAV decodes and encodes here, each tried on a small sample: "" for success, else the reason."""
    with tempfile.TemporaryDirectory(prefix="dualface-examine-") as folder:
        decoded = {codec: _decode_sample(codec, Path(folder)) for codec in _SAMPLES}
    return {
        "decode": decoded,
        "encode": {"h264 (libx264)": _tried(_encode), "aac": _tried(lambda: av.Codec("aac", "w"))},
        "ffmpeg": {name: ".".join(map(str, version)) for name, version in av.library_versions.items()},
    }


def _decode_sample(codec: str, folder: Path) -> str:
    encoder, container, pix_fmt = _SAMPLES[codec]
    path = folder / f"{re.sub('[^a-z0-9]', '', codec)}.{container}"
    with priority_kept():
        words = _tried(lambda: _write_sample(path, encoder, pix_fmt))
    if words:
        name = codec.partition(",")[0]
        return _tried(lambda: av.Codec(name, "r")) or f"not tried: no sample could be made ({words})"
    return _tried(lambda: _decode(path))


def _write_sample(path: Path, encoder: str, pix_fmt: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25, options=_OPTIONS.get(encoder, {}))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, pix_fmt
        for number in range(_FRAMES):
            luma = np.add.outer(np.arange(_HEIGHT), np.arange(_WIDTH) + 8 * number).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(luma, "gray").reformat(format=pix_fmt)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _decode(path: Path) -> None:
    decoder = PyAvDecoder(path, probe(path), max_surface_pixels=_WIDTH * _HEIGHT, threads=1)
    frames = sum(len(batch) for batch in decoder.batches())
    if frames != _FRAMES:
        raise ValueError(f"{frames} of {_FRAMES} frames came out")


def _encode() -> None:
    encoder = X264Encoder(
        _WIDTH, _HEIGHT, time_base=Fraction(1, 25), fps=Fraction(25), color=ColorTags(), settings=EncoderSettings(),
        threads=1,
    )  # fmt: skip
    grey = np.full((_HEIGHT, _WIDTH), 128, np.uint8), np.full((_HEIGHT // 2, _WIDTH // 2, 2), 128, np.uint8)
    if not [*encoder.encode(Frame(*grey, 0, 1)), *encoder.flush()]:
        raise ValueError("nothing came out")


def _tried(action: Callable[[], object]) -> str:
    try:
        action()
    except Exception as error:  # the codec's error is the answer
        return str(error) or type(error).__name__
    return ""


def driver() -> dict[str, Any]:
    """Return facts about the NVIDIA driver: kernel module, devices that this user may open, and GPUs that NVML sees."""
    found = describe_gpus()
    return {
        "kernel_module": driver_version(),
        "devices": {name: _openable(Path("/dev") / name) for name in _DEVICES if (Path("/dev") / name).exists()},
        "driver": found[0].driver if found else None,
        "cuda": cuda_version() if found else None,
        "cards": [
            {
                "index": gpu.index,
                "name": gpu.name,
                "compute_capability": gpu.compute_capability,
                "vram_total_bytes": gpu.vram_total_bytes,
                "vram_used_bytes": gpu.vram_used_bytes,
            }
            for gpu in found
        ],
    }


def _openable(path: Path) -> str:
    return _tried(lambda: path.open("rb+", buffering=0).close())


def cuda(index: int) -> dict[str, Any]:
    """Return what a GPU decodes and encodes.

    Raises:
        DeviceUnavailableError: PyNvVideoCodec is missing.
    """
    from engines.cuda.decoding.nvdec import CODECS  # noqa: PLC0415  needs a GPU
    from engines.cuda.encoding.sessions import probe_sessions  # noqa: PLC0415

    if importlib.util.find_spec("PyNvVideoCodec") is None:
        raise DeviceUnavailableError("the package PyNvVideoCodec is not installed", component=Component.LIBRARIES)
    sessions = probe_sessions(index)
    return {
        "decode": {_stream(codec, bits): _gpu_decodes(index, codec, bits) for codec in CODECS for bits in _BIT_DEPTHS},
        "nvenc": {"opened": sessions.opened, "error": sessions.error},
    }


def _stream(codec: str, bits: int) -> str:
    return codec if bits == 8 else f"{codec}, {bits} bits"


def _gpu_decodes(index: int, codec: str, bits: int) -> str:
    from engines.cuda.decoding.nvdec import capabilities  # noqa: PLC0415  as above

    try:
        return "" if capabilities(index, codec, bits)["supported"] else "not supported"
    except Exception as error:  # the driver's error is the answer
        return str(error) or type(error).__name__


def cache() -> dict[str, Any]:
    """Return the cache directory, why this user cannot write it ("" if it can be written), and its free space."""
    directory = default_cache_dir()
    existing = next(folder for folder in (directory, *directory.parents) if folder.exists())
    return {
        "directory": str(directory),
        "refused": _tried(lambda: _write_something(directory)),
        "free_bytes": shutil.disk_usage(existing).free,
    }


def _write_something(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"x")


def inference() -> dict[str, Any]:
    """Return the versions of ONNX Runtime and TensorRT, and the providers."""
    from engines.inference.ort_library import onnxruntime  # noqa: PLC0415 - the other topics work without it

    library = find_library()
    return {
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "tensorrt": f"{library.name} {library.version}" if library else None,
    }


def main() -> None:
    topic, index = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    topics: dict[str, Callable[[], dict[str, Any]]] = {
        "cpu": cpu,
        "driver": driver,
        "cuda": lambda: cuda(index),
        "inference": inference,
        "cache": cache,
    }
    answer(topics[topic])


if __name__ == "__main__":
    main()
