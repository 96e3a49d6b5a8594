"""Encoding frames that lie in the GPU's memory: with NVENC, or with x264 where the GPU has no encoder."""

from __future__ import annotations

import importlib
import io
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from engines.cpu.encode import X264Encoder, gop_frames
from engines.cuda.cross_process import Slots, shared_directory
from engines.cuda.device_mask import number_of
from engines.cuda.encoding.download import DownloadingEncoder
from engines.cuda.encoding.sessions import EncoderSessions, Session, SessionProbe, choose_encoder, probe_sessions
from engines.cuda_streams import stream_of
from engines.device_errors import device_errors
from engines.errors import EncodeFailedError, EngineError
from engines.frames import ColorTags, EncodedPacket, Frame
from engines.protocols import Encoder
from engines.settings import DeviceSettings, EncoderSettings

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
LEVEL_MAX = 51  # level_idc of 5.1, the highest that common hardware plays
_TRY_S = 1.0  # how long a session is waited for before the job is asked whether it still wants one
_IDR = 3  # NV_ENC_PIC_TYPE_IDR
_SPS = 7
_SEQUENCE_HEADERS = {_SPS, 8}  # nal_unit_type of SPS and PPS (H.264, table 7-1)
_START_CODE = b"\x00\x00\x00\x01"
_ANY_START_CODE = re.compile(b"\x00?\x00\x00\x01")

Empty = Callable[[tuple[int, int]], Any]


class DeviceEncoders:
    """Makes the encoders of one GPU, as settings and GPU allow.

    Args:
        counted: the GPU's sessions, as counted before any job began. None: nobody has. Then it is only asked whether
            there is one, since a count would take those of other jobs away for a moment, and miss those in use.

    Attributes:
        notes: why NVENC is not in use, for the report.
    """

    def __init__(
        self,
        device: DeviceSettings,
        counted: SessionProbe | None = None,
        probe: Callable[[int, int], SessionProbe] = probe_sessions,
    ) -> None:
        self._device = device
        self._probe = probe
        self._counted = counted
        self._found = counted
        self._sessions: EncoderSessions | None = None
        self._asking = threading.Lock()
        self.notes: tuple[str, ...] = ()

    def create(
        self,
        width: int,
        height: int,
        *,
        time_base: Fraction,
        fps: Fraction,
        color: ColorTags,
        settings: EncoderSettings,
        stream: int = 0,
    ) -> Encoder:
        """An encoder for frames on the GPU. ``stream`` is the CUstream on which they are drawn.

        Raises:
            EncoderBusyError: no NVENC session came free within a second; whoever wants one may ask again.
            EncoderMissingError: NVENC is demanded, and the GPU has none.
        """
        with self._asking:
            kind, note = choose_encoder(settings.encoder, self._probed)
            if note and note not in self.notes:
                self.notes = (*self.notes, note)
            sessions = self._shared_sessions() if kind == "nvenc" else None
        if sessions is not None:
            return NvencEncoder(
                width, height, fps=fps, color=color, settings=settings, sessions=sessions,
                index=self._device.gpu, stream=stream,
            )  # fmt: skip
        inner = X264Encoder(
            width, height, time_base=time_base, fps=fps, color=color, settings=settings, threads=settings.threads
        )
        return DownloadingEncoder(inner, width, height, index=self._device.gpu, stream=stream)

    def give_spare_places_back(self) -> None:
        """Leave the places that no open encoder uses to other processes: the job needs none for now."""
        if self._sessions is not None:
            self._sessions.give_spare_places_back()

    def _probed(self) -> SessionProbe:
        if self._device.nvenc_max_sessions == 0:
            return SessionProbe(0, "device.nvenc_max_sessions is 0")
        if self._found is None:
            self._found = self._probe(self._device.gpu, 1)
        return self._found

    def _shared_sessions(self) -> EncoderSessions:
        if self._sessions is None:
            limit = self._limit()
            places = None
            if limit is not None:
                places = Slots(shared_directory() / f"nvenc-{number_of(self._device.gpu)}", limit)
            self._sessions = EncoderSessions(limit, places=places, wait_s=min(_TRY_S, self._device.nvenc_wait_s))
        return self._sessions

    def _limit(self) -> int | None:
        """Sessions that all jobs on the GPU may hold; None leaves that to the driver."""
        if self._device.nvenc_max_sessions != "auto":
            return self._device.nvenc_max_sessions
        counted = self._counted
        return counted.opened or None if counted and counted.error else None  # without an error there are more


class NvencEncoder:
    """H.264 by the GPU's encoder, through PyNvVideoCodec. Satisfies ``engines.protocols.Encoder``.

    Frames are NV12 in device memory: their planes have ``__cuda_array_interface__``. Constant quality
    (``rc=vbr`` with a target), closed groups of frames, no B-frames: decoding order is order of pts.
    NVENC's target quality and x264's rate factor share a scale, 1 (best) to 51; equal numbers are of similar, not
    equal, size and quality.

    Args:
        width, height: size of every frame, both even.
        fps: mean rate; steers rate control and the distance of keyframes.
        sessions: where a place for this encoder is waited for.
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
        """Take the next frame, in order of pts; returns what is ready."""
        self._times.append(frame.pts)
        return self._packets(self._call("Encode", _DeviceFrame(*self._adjacent(frame))))

    def flush(self) -> list[EncodedPacket]:
        """The remaining packets. Gives the session back; the encoder cannot be used afterwards."""
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
        """Both planes without padding, chroma right behind luma, as NVENC's copy takes them."""
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
        """What allocates memory on the GPU; copies in this block are ordered behind the drawing of frames."""
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
    """PyNvVideoCodec's options. It passes over what it does not know, an option or a preset, without an error."""
    gop = gop_frames(fps)
    return {
        "codec": "h264",
        "preset": PRESETS[settings.preset],
        "tuning_info": "high_quality",
        "rc": "vbr",
        "cq": max(1, settings.crf),  # 0 would mean: choose by yourself
        "bitrate": 0,
        "maxbitrate": 0,
        "gop": gop,
        "idrperiod": gop,
        "bf": 0,
        "fps": float(fps),
    }


def tagged(headers: bytes, color: ColorTags) -> bytes:
    """SPS and PPS (Annex B) with the colour description in them, which the library's options cannot express.

    The level is at most 5.1, which 1920x1080 at 120 frames a second stays within.
    """
    tags = (
        f"h264_metadata=colour_primaries={color.primaries}:transfer_characteristics={color.transfer}"
        f":matrix_coefficients={color.matrix}:video_full_range_flag={int(color.full_range)}"
    )
    if _level(headers) > LEVEL_MAX:
        tags += f":level={LEVEL_MAX / 10}"
    try:
        with av.open(io.BytesIO(), "w", format="h264") as scratch:
            stream = scratch.add_stream("libx264", rate=25)  # only tells the filter which codec it is
            return b"".join(bytes(packet) for packet in BitStreamFilterContext(tags, stream).filter(Packet(headers)))
    except av.FFmpegError as error:
        raise EncodeFailedError(f"NVENC's headers cannot be read: {error}") from error


def _level(headers: bytes) -> int:
    """level_idc of the SPS (H.264, 7.3.2.1.1); 0 where there is none."""
    units = [unit for unit in _ANY_START_CODE.split(headers) if len(unit) > 3]
    return next((unit[3] for unit in units if unit[0] & 31 == _SPS), 0)


def without_sequence_headers(data: bytes) -> bytes:
    """An access unit (Annex B) without the parameter sets that NVENC repeats before every keyframe."""
    units = [unit for unit in _ANY_START_CODE.split(data) if unit]
    return b"".join(_START_CODE + unit for unit in units if unit[0] & 31 not in _SEQUENCE_HEADERS)


def _open(sessions: EncoderSessions, create: Callable[[], Any]) -> Session[Any]:
    try:
        return sessions.open(create)
    except EngineError:
        raise
    except Exception as error:  # as in _call
        raise EncodeFailedError(f"NVENC does not accept the parameters: {error}") from error
