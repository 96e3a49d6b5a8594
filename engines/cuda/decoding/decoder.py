"""Decoding on the GPU: FFmpeg demuxes and NVDEC decodes; everything else is the CPU decoder's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import structlog
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from engines.containers.edit_lists import read_edit_lists
from engines.cpu.codec import CODECS_WITH_HIDDEN_PACKETS, HIDDEN_NUMBER, KEYFRAMES_BEFORE_DAMAGE
from engines.cpu.decode import PyAvDecoder, Run
from engines.cpu.filters import Converter, Upright
from engines.cuda.decoding.headers import HeaderWatch
from engines.cuda.decoding.nvdec import DamagedPacketError, GPURefusedError
from engines.cuda.decoding.surfaces import Surface, SurfaceConverter, upload
from engines.cuda.stream_protocol import DeviceWork
from engines.edits.video import is_hidden
from engines.errors import Component, DeviceUnavailableError, UnsupportedCodecError
from engines.frames import FrameBatch, MediaInfo, VideoInfo
from engines.settings import DeviceSettings
from engines.video.seeking import NO_PRESENTATION_TIMES, Feed, feed_from
from engines.video.timeline import Slot, Timeline, step_ticks

log = structlog.get_logger(__name__)


class GPUCodec(Protocol):
    """A decoding session; see ``engines.cuda.decoding.nvdec.NvdecCodec``."""

    name: str

    def decode(self, packet: Packet[Stream] | None) -> list[tuple[int, Surface]]: ...


CHANGES = "size, pixel aspect, orientation or colours change"
EDITS = "its edit list shows several parts of it"
TRIMMED = "its edit list ends between frames that refer to each other"

OpenCodec = Callable[[VideoInfo, VideoStream], GPUCodec]


class GPURun:
    """Decodes a feed on the GPU; the counterpart of ``engines.cpu.codec.CodecRun``.

    The decoder gets packet numbers in place of times. A frame that never comes out is lost. The GPU conceals damage
    inside a frame without reporting it. A session is for one size, aspect and orientation: the rest goes to the CPU
    when they change, and when an edit list cuts off a group of frames.
    """

    def __init__(self, video: VideoInfo, feed: Feed, codec: GPUCodec, copy: Callable[[Surface], Upright]) -> None:
        self._feed = feed
        self._size = video.coded_width, video.coded_height
        self._headers = HeaderWatch(video, feed.stream)
        self._codec = codec
        self._latest_pts: int | None = None  # of the packets that are shown
        self._copy = copy
        self._timeline: Timeline[Upright] = Timeline(
            step=step_ticks(video.fps, video.time_base),
            hidden_packets=video.codec in CODECS_WITH_HIDDEN_PACKETS,
            in_order_only=feed.container.format.name in NO_PRESENTATION_TIMES,
        )
        self.broken_end = False

    def slots(self) -> Iterator[Slot[Upright]]:
        """Yield one slot per frame that the packets announce, in order of pts; lost ones without a frame.

        Raises:
            GPURefusedError: the GPU does not decode the rest.
        """
        for packet in self._packets():
            if self._headers.has_changed(packet):
                yield from self._decode(None)
                raise GPURefusedError(CHANGES)
            if self._is_behind_the_end(packet):
                raise GPURefusedError(TRIMMED)
            packet.pts = HIDDEN_NUMBER if is_hidden(packet) else self._timeline.announce(packet)
            yield from self._decode(packet)
        yield from self._decode(None)
        yield from self._timeline.finish()
        self.broken_end = self._feed.reader.broken_end

    def _is_behind_the_end(self, packet: Packet[Stream]) -> bool:
        """Return whether a packet is hidden because its frame comes after the last one that an edit list shows."""
        if packet.pts is None:
            return False
        if is_hidden(packet):
            return self._latest_pts is not None and packet.pts > self._latest_pts
        self._latest_pts = packet.pts if self._latest_pts is None else max(packet.pts, self._latest_pts)
        return False

    def _packets(self) -> Iterator[Packet[Stream]]:
        """Yield packets with a frame. After a keyframe in the middle some may be shown before it: they refer to frames
        that were not read, and the GPU would return them in any order."""
        first_pts: int | None = None
        for packet in self._feed.packets:
            if packet is None or packet.size == 0:
                continue
            if first_pts is None:
                first_pts = packet.pts
            is_leading = _is_shown_before(packet, first_pts)
            if self._feed.from_start or not is_leading:
                yield packet

    def _decode(self, packet: Packet[Stream] | None) -> list[Slot[Upright]]:
        try:
            frames = self._codec.decode(packet)
        except DamagedPacketError:
            return self._timeline.report_error()
        placed = [self._timeline.place(n, self._copied(surface)) for n, surface in frames if n != HIDDEN_NUMBER]
        return [slot for slots in placed for slot in slots]

    def _copied(self, surface: Surface) -> Upright:
        if (surface.width, surface.height) != self._size:
            raise GPURefusedError(CHANGES)
        return self._copy(surface)


def _is_shown_before(packet: Packet[Stream], pts: int | None) -> bool:
    return not is_hidden(packet) and pts is not None and packet.pts is not None and packet.pts < pts


class GPUDecoder(PyAvDecoder):
    """Decodes into the GPU's memory. Satisfies ``engines.protocols.Decoder``, with the CPU decoder's guarantees.

    If the GPU cannot decode the stream, or stops midway, ``DeviceSettings.undecodable`` decides what happens:
    the CPU decodes (the rest) and the frames are uploaded, or the job waits for another GPU, or fails.

    Args:
        stream: where frames are made.
        on_batch: called before each batch is handed over; orders the work of its readers behind that of ``stream``.
        open_codec: opens a session of the GPU's decoder for a stream.
        refusal: why the GPU must not be tried; None to try it.
        on_refusal: called with the reason why the GPU does not decode the stream.

    Attributes:
        cpu_fallback: the CPU has decoded all of the stream or a part.

    Raises:
        DeviceUnavailableError, UnsupportedCodecError: by ``undecodable``; also while batches are taken.
    """

    def __init__(
        self,
        path: Path,
        info: MediaInfo,
        *,
        max_surface_pixels: int,
        threads: int = 0,
        stream: DeviceWork,
        device: str,
        settings: DeviceSettings,
        open_codec: OpenCodec,
        refusal: str | None,
        on_refusal: Callable[[str], None] = lambda _: None,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(path, info, max_surface_pixels=max_surface_pixels, threads=threads)
        self.device = device
        self.name = "pyav"
        self.cpu_fallback = False
        self._stream = stream
        self._settings = settings
        self._open_codec = open_codec
        self._on_refusal = on_refusal
        self._on_batch = on_batch
        # NVDEC, drained within a group of frames, has given wrong ones.
        reason = EDITS if refusal is None and read_edit_lists(path).are_complex else refusal
        if reason is not None:
            self._fall_back(reason)

    def _fall_back(self, reason: str) -> None:
        self._on_refusal(reason)
        message = f"The video cannot be decoded on the GPU: {reason}."
        match self._settings.undecodable:
            case "wait":
                remedy = "Wait for a GPU that can, or decode on the CPU."
                raise DeviceUnavailableError(message, remedy=remedy, component=Component.DECODER)
            case "fail":
                raise UnsupportedCodecError(message)
        log.warning("decoding on the CPU", reason=reason, path=str(self._path))
        self.cpu_fallback = True

    def _batches(self, start_pts: int | None, size: int) -> Iterator[FrameBatch]:
        for batch in super()._batches(start_pts, size):
            self._on_batch()
            yield batch

    def _decoded(self, feed: Feed) -> tuple[Run, Iterator[Slot[Any]]]:
        if self.cpu_fallback:
            return super()._decoded(feed)
        try:
            codec = self._open_codec(self._info.video, feed.stream)
        except GPURefusedError as error:
            self._fall_back(str(error))
            return super()._decoded(feed)
        self.name = codec.name
        surfaces = SurfaceConverter(self._stream, self._info.video, self.surface_width, self.surface_height)
        run = GPURun(self._info.video, feed, codec, lambda surface: Upright(*surfaces.convert(surface)))
        return run, self._with_successor(run, feed)

    def _with_successor(self, run: GPURun, feed: Feed) -> Iterator[Slot[Any]]:
        """Yield the GPU's slots, and if it stops, the rest from the CPU."""
        last_pts: int | None = None
        try:
            for slot in run.slots():
                last_pts = slot.pts
                yield slot
        except GPURefusedError as error:
            self._fall_back(str(error))
            self.name = f"{self.name}, pyav"
            again = feed.reopened() if last_pts is None else self._feed_before(last_pts)
            with again:
                successor, slots = super()._decoded(again)
                yield from (slot for slot in slots if last_pts is None or slot.pts > last_pts)
                run.broken_end = successor.broken_end

    def _feed_before(self, pts: int) -> Feed:
        return feed_from(self._path, self._info.video.index, pts, KEYFRAMES_BEFORE_DAMAGE)

    def _blended(self, before: Upright, after: Upright, weight: float) -> Upright:
        """Blend on the host: this is rare, so it has no kernel."""
        return self._uploaded(super()._blended(self._on_host(before), self._on_host(after), weight))

    def _black(self, like: Upright) -> Upright:
        return self._uploaded(super()._black(like))

    def _converter(self) -> Callable[[Any], Upright]:
        on_host = Converter(self._info.video, self._max_pixels)

        def convert(frame: Any) -> Upright:
            return frame if isinstance(frame, Upright) else self._uploaded(on_host.convert(frame))

        return convert

    def _uploaded(self, frame: Upright) -> Upright:
        return Upright(*upload(self._stream, frame[:2]), frame.display)

    def _on_host(self, frame: Upright) -> Upright:
        return Upright(self._stream.to_host(frame.y), self._stream.to_host(frame.uv), frame.display)
