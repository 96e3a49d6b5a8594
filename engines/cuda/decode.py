"""Decoding on the card: FFmpeg's demuxers and exact timestamps, NVDEC's pictures, everything else as on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import structlog
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from engines.cpu.codec import CODECS_WITH_HIDDEN_PACKETS, KEYFRAMES_BEFORE_DAMAGE, NOT_SHOWN
from engines.cpu.decode import PyAvDecoder, Run
from engines.cpu.edited_video import is_hidden
from engines.cpu.filters import Converter, Planes
from engines.cpu.seeking import NO_PRESENTATION_TIMES, Feed, feed_from
from engines.cpu.timeline import Slot, Timeline, step_ticks
from engines.cuda.nvdec import CardRefusedError, DamagedPacketError
from engines.cuda.pictures import DevicePlanes
from engines.cuda.surfaces import Surface, SurfaceConverter, upload
from engines.cuda.work import DeviceWork
from engines.errors import DeviceUnavailableError, UnsupportedCodecError
from engines.frames import MediaInfo, VideoInfo
from engines.settings import DeviceSettings

log = structlog.get_logger(__name__)


class CardCodec(Protocol):
    """A decoding session; see ``engines.cuda.nvdec.NvdecCodec``."""

    name: str

    def decode(self, packet: Packet[Stream] | None) -> list[tuple[int, Surface]]: ...

    def restart(self) -> None: ...


OpenCodec = Callable[[VideoInfo, VideoStream], CardCodec]


class CardRun:
    """Decodes a feed on the card; the counterpart of ``engines.cpu.codec.CodecRun``.

    The packets' numbers travel through the decoder in place of their times. A picture that never comes is a lost one.
    Damage inside a picture is concealed by the card, which does not say so.
    """

    def __init__(self, video: VideoInfo, feed: Feed, codec: CardCodec, keep: Callable[[Surface], DevicePlanes]) -> None:
        self._feed = feed
        self._codec = codec
        self._keep = keep
        self._timeline: Timeline[DevicePlanes] = Timeline(
            step=step_ticks(video.fps, video.time_base),
            hidden_packets=video.codec in CODECS_WITH_HIDDEN_PACKETS,
            in_order_only=feed.container.format.name in NO_PRESENTATION_TIMES,
        )
        self.broken_end = False

    def slots(self) -> Iterator[Slot[DevicePlanes]]:
        """One slot per picture that the packets announce, in order of pts; lost ones without a picture.

        Raises:
            CardRefusedError: the card gave up; slots that were not yielded are to be decoded otherwise.
        """
        for packet in self._packets():
            if packet is None:
                yield from self._decode(None)
                self._codec.restart()
                continue
            packet.pts = NOT_SHOWN if is_hidden(packet) else self._timeline.announce(packet)
            yield from self._decode(packet)
        yield from self._decode(None)
        yield from self._timeline.finish()
        self.broken_end = self._feed.reader.broken_end

    def _packets(self) -> Iterator[Packet[Stream] | None]:
        """Packets with a picture. Behind a keyframe in the middle some may be shown before it: they refer to pictures
        that were not read, and the card would put them out in any order."""
        first_pts: int | None = None
        for packet in self._feed.packets:
            if packet is None:
                first_pts = None
                yield None
                continue
            if packet.size == 0:
                continue
            if first_pts is None:
                first_pts = packet.pts
            is_leading = _is_shown_before(packet, first_pts)
            if self._feed.from_start or not is_leading:
                yield packet

    def _decode(self, packet: Packet[Stream] | None) -> list[Slot[DevicePlanes]]:
        try:
            pictures = self._codec.decode(packet)
        except DamagedPacketError:
            return self._timeline.complain()
        placed = [self._timeline.place(n, self._keep(surface)) for n, surface in pictures if n != NOT_SHOWN]
        return [slot for slots in placed for slot in slots]


def _is_shown_before(packet: Packet[Stream], pts: int | None) -> bool:
    return not is_hidden(packet) and pts is not None and packet.pts is not None and packet.pts < pts


class CardDecoder(PyAvDecoder):
    """Decodes into the card's memory. Satisfies ``engines.protocols.Decoder``, with the CPU decoder's promises.

    Where the card cannot decode the stream, or gives up on the way, ``DeviceSettings.undecodable`` says what happens:
    the CPU decodes (the rest) and the pictures are uploaded, or the job waits for another card, or fails.

    Args:
        stream: where pictures are made.
        open_codec: opens a session of the card's decoder for a stream.
        refusal: why the card is not to be asked at all.
        on_refusal: told why the card does not decode the stream, before anything follows from that.

    Attributes:
        cpu_fallback: the CPU decoded, from the start or from somewhere on.

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
    ) -> None:
        super().__init__(path, info, max_surface_pixels=max_surface_pixels, threads=threads)
        self.device = device
        self.name = "pyav"
        self.cpu_fallback = False
        self._stream = stream
        self._settings = settings
        self._open_codec = open_codec
        self._on_refusal = on_refusal
        if refusal is not None:
            self._leave_the_card(refusal)

    def _leave_the_card(self, reason: str) -> None:
        self._on_refusal(reason)
        message = f"The video cannot be decoded on the card: {reason}."
        match self._settings.undecodable:
            case "wait":
                raise DeviceUnavailableError(
                    message, remedy="Wait for a card that can, or set device.undecodable: cpu."
                )
            case "fail":
                raise UnsupportedCodecError(message)
        log.warning("decoding on the CPU", reason=reason, path=str(self._path))
        self.cpu_fallback = True

    def _decoded(self, feed: Feed) -> tuple[Run, Iterator[Slot[Any]]]:
        if self.cpu_fallback:
            return super()._decoded(feed)
        try:
            codec = self._open_codec(self._info.video, feed.stream)
        except CardRefusedError as error:
            self._leave_the_card(str(error))
            return super()._decoded(feed)
        self.name = codec.name
        surfaces = SurfaceConverter(self._stream, self._info.video, self.surface_width, self.surface_height)
        run = CardRun(self._info.video, feed, codec, surfaces.convert)
        return run, self._with_successor(run)

    def _with_successor(self, run: CardRun) -> Iterator[Slot[Any]]:
        """The card's slots, and should it give up, the rest from the CPU."""
        last_pts: int | None = None
        try:
            for slot in run.slots():
                last_pts = slot.pts
                yield slot
        except CardRefusedError as error:
            self._leave_the_card(str(error))
            self.name = f"{self.name}, pyav"
            with feed_from(self._path, self._info.video.index, last_pts, KEYFRAMES_BEFORE_DAMAGE) as feed:
                successor, slots = super()._decoded(feed)
                yield from (slot for slot in slots if last_pts is None or slot.pts > last_pts)
                run.broken_end = successor.broken_end

    def _blended(self, before: Planes, after: Planes, weight: float) -> Planes:
        """On the host: it is rare, and no reason for a kernel."""
        first, second = ((self._stream.to_host(y), self._stream.to_host(uv)) for y, uv in (before, after))
        return upload(self._stream, super()._blended(first, second, weight))

    def _black(self) -> Planes:
        return upload(self._stream, super()._black())

    def _converter(self) -> Callable[[Any], Planes]:
        on_host = Converter(self.surface_width, self.surface_height)

        def convert(picture: Any) -> Planes:
            is_ours = isinstance(picture, tuple)
            return picture if is_ours else upload(self._stream, on_host.convert(picture))

        return convert
