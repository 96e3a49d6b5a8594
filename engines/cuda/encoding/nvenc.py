"""H.264 by the GPU's encoder, NVENC, through PyNvVideoCodec."""

from __future__ import annotations

import importlib
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from engines.cpu.encode import gop_frames
from engines.cuda.encoding.h264_headers import tagged, without_sequence_headers
from engines.cuda.encoding.sessions import EncoderSessions, Session
from engines.cuda_streams import stream_of
from engines.device_errors import device_errors
from engines.errors import EncodeFailedError, EngineError
from engines.frames import ColorTags, EncodedPacket, Frame
from engines.settings import EncoderSettings

# x264's names for speed, and the NVENC preset in about the same place of its range (P1 fastest, P7 best).
PRESETS = {
    "ultrafast": "P1",
    "superfast": "P2",
    "veryfast": "P3",
    "faster": "P4",
    "fast": "P4",
    "medium": "P5",
    "slow": "P6",
    "slower": "P6",
    "veryslow": "P7",
}
_IDR = 3  # NV_ENC_PIC_TYPE_IDR

Empty = Callable[[tuple[int, int]], Any]


class NvencEncoder:
    """H.264 by the GPU's encoder, through PyNvVideoCodec. Satisfies ``engines.protocols.Encoder``.

    Frames are NV12 in device memory: their planes have ``__cuda_array_interface__``. Constant quality
    (``rc=vbr`` with a target), closed groups of frames, no B-frames: decoding order is order of pts.
    NVENC's target quality and x264's rate factor share a scale, 1 (best) to 51; equal numbers are of similar, not
    equal, size and quality.

    Args:
        width, height: size of every frame, both even.
        fps: mean rate; steers rate control and the distance of keyframes.
        sessions: give the session for this encoder.
        index: number of the CUDA device.
        stream: CUstream on which the frames are drawn; NVENC's own copy of a frame is ordered behind it, so its
            memory may be drawn on again right after ``encode``, on that stream.
        empty: allocates device memory (rows, columns) of bytes, for frames whose planes do not follow each other.

    Raises:
        EncoderBusyError: no session came free in time.
        EncoderMissingError: the GPU has no encoder.
        EncodeFailedError: NVENC refused the parameters or a frame.
    """

    name = "h264_nvenc"

    def __init__(
        self,
        width: int,
        height: int,
        *,
        fps: Fraction,
        color: ColorTags,
        settings: EncoderSettings,
        sessions: EncoderSessions,
        index: int = 0,
        stream: int = 0,
        empty: Empty | None = None,
    ) -> None:
        library = importlib.import_module("PyNvVideoCodec")  # its import needs the driver
        options = encoder_options(fps, settings) | {"gpu_id": index} | ({"cudastream": stream} if stream else {})
        self._session = _open(sessions, lambda: library.CreateEncoder(width, height, "NV12", False, **options))
        weakref.finalize(self, self._session.close).atexit = False  # a job that fails does not flush
        self._width, self._height = width, height
        self._times: deque[int] = deque()
        self._empty = empty
        self._staging: Any = None
        self._index, self._stream = index, stream
        self.extradata = tagged(self._call("GetSequenceParams"), color)

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        """Take the next frame, in order of pts; return finished packets."""
        self._times.append(frame.pts)
        return self._packets(self._call("Encode", _DeviceFrame(*self._adjacent(frame))))

    def flush(self) -> list[EncodedPacket]:
        """Return the remaining packets and free the session; the encoder cannot be used afterwards."""
        try:
            return self._packets(self._call("EndEncode"))
        finally:
            self._session.close()

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            with device_errors("encoding"):
                return getattr(self._session.encoder, method)(*arguments)
        except EngineError:
            raise
        except Exception as error:  # the library's exceptions have no base of their own
            raise EncodeFailedError(f"NVENC failed in {method}: {error}") from error

    def _packets(self, encoded: Sequence[dict[str, Any]]) -> list[EncodedPacket]:
        """Without B-frames packets come in the order of frames. (Their timestamps only count frames.)"""
        return [
            EncodedPacket(
                without_sequence_headers(bytes(p["data"])) if p["picture_type"] == _IDR else bytes(p["data"]),
                self._times.popleft(),
                p["picture_type"] == _IDR,
            )
            for p in encoded
        ]

    def _adjacent(self, frame: Frame) -> tuple[_View, _View]:
        """Return both planes without padding, chroma right behind luma, as NVENC needs them."""
        width, height = self._width, self._height
        y, uv = _View(frame.y, (height, width, 1)), _View(frame.uv, (height // 2, width // 2, 2))
        if y.is_packed and uv.is_packed and uv.pointer == y.pointer + width * height:
            return y, uv
        with self._on_stream() as empty:
            if self._staging is None:
                self._staging = empty((height * 3 // 2, width))
            luma, chroma = self._staging[:height], self._staging[height:].reshape(height // 2, width // 2, 2)
            luma[...], chroma[...] = frame.y, frame.uv
        return _View(luma, (height, width, 1)), _View(chroma, (height // 2, width // 2, 2))

    @contextmanager
    def _on_stream(self) -> Iterator[Empty]:
        """Yield an allocator of GPU memory; copies in this block are ordered behind the drawing of frames."""
        if self._empty is not None:
            yield self._empty
            return
        cupy = importlib.import_module("cupy")
        with cupy.cuda.Device(self._index), stream_of(self._stream):
            yield lambda shape: cupy.empty(shape, "u1")


class _View:
    """One plane as the library reads it: a CUDA array interface that spells out strides."""

    def __init__(self, plane: Any, shape: tuple[int, int, int]) -> None:
        given = plane.__cuda_array_interface__
        rows, columns, channels = shape
        packed = (columns * channels, channels, 1)
        strides = given.get("strides") or packed[: len(given["shape"])]
        self.pointer: int = given["data"][0]
        self.is_packed = tuple(strides) == packed[: len(given["shape"])]
        self.__cuda_array_interface__ = {
            "shape": (rows, columns, channels),
            "strides": packed,
            "typestr": "|u1",
            "data": (self.pointer, False),
            "version": 3,
        }


class _DeviceFrame:
    """What ``Encode`` takes: an object whose ``cuda()`` gives the planes."""

    def __init__(self, y: _View, uv: _View) -> None:
        self._planes = [y, uv]

    def cuda(self) -> list[_View]:
        return self._planes


def encoder_options(fps: Fraction, settings: EncoderSettings) -> dict[str, Any]:
    """Return PyNvVideoCodec's options. It ignores unknown options and presets without an error."""
    gop = gop_frames(fps)
    return {
        "codec": "h264",
        "preset": PRESETS[settings.preset],
        "tuning_info": "high_quality",
        "rc": "vbr",
        "cq": max(1, settings.crf),  # 0 would let NVENC choose
        "bitrate": 0,
        "maxbitrate": 0,
        "gop": gop,
        "idrperiod": gop,
        "bf": 0,
        "fps": float(fps),
    }


def _open(sessions: EncoderSessions, create: Callable[[], Any]) -> Session[Any]:
    try:
        return sessions.open(create)
    except EngineError:
        raise
    except Exception as error:  # as in _call
        raise EncodeFailedError(f"NVENC does not accept the parameters: {error}") from error
