"""Open untrusted media files with local demuxers only and typed errors, and read their packets despite damage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from engines.containers import flv_clock, splices
from engines.containers.channel_layouts import Labels, take_custom_orders
from engines.containers.edit_lists import read_edit_lists
from engines.containers.flv_clock import FlvClock
from engines.containers.missing_times import MissingTimes
from engines.containers.sniff import reject_empty_or_still, unreadable_error
from engines.containers.source_file import SourceFile
from engines.containers.splices import Splices
from engines.errors import NoVideoError

# Playlists (hls, concat, dash) are left out because they make the demuxer open other files or hosts.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,flv,live_flv,asf,asf_o,ogg,mxf,gxf,"
    "nut,ivf,h264,hevc,obu,av1,dv,rm,wtv,nsv,y4m,yuv4mpegpipe,mjpeg,gif,apng,swf,"
    "mp3,aac,wav,w64,flac,ac3,eac3,aiff,amr,caf,au"
)
OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
IGNORE_EDITS = {"ignore_editlist": "1"}
MAX_ERRORS_IN_A_ROW = 64
MAX_PIXELS = 2**28  # larger frames are never decoded
_READ_BYTES = 2**18  # that FFmpeg asks for at a time: each time it waits for Python
_ALIGNMENT_PIXELS = 2**22  # codecs round sizes up before they compare


def pixel_limit(pixels: int) -> dict[str, str]:
    """Return the option that keeps a codec from allocating larger frames."""
    return {"max_pixels": str(pixels + _ALIGNMENT_PIXELS)}


def open_media(path: Path, *, max_pixels: int = MAX_PIXELS, decode: bool = True) -> InputContainer:
    """Open a file for demuxing; complex edit lists (``engines.containers.edit_lists``) are ignored.

    Args:
        max_pixels: while FFmpeg reads the streams' parameters, it decodes no larger frames.
        decode: if False, it decodes no frame at all; sizes are known all the same.

    Raises:
        EmptyFileError, StillImageError, NotMediaError, TruncatedFileError, IndexTooLargeError: what is wrong with the
            content.
        OSError: the storage failed.
    """
    return open_with_channel_labels(path, max_pixels=max_pixels, decode=decode)[0]


def open_with_channel_labels(
    path: Path, *, max_pixels: int = MAX_PIXELS, decode: bool = True
) -> tuple[InputContainer, dict[int, Labels]]:
    """Open a file as ``open_media`` does; also return the channel labels of audio streams in custom order, by index."""
    reject_empty_or_still(path)
    options = OPEN_OPTIONS | pixel_limit(max_pixels) | ({} if decode else {"skip_frame": "all"})
    if read_edit_lists(path).are_complex:
        options |= IGNORE_EDITS
    try:
        container = av.open(SourceFile(path), "r", options=options, metadata_errors="replace", buffer_size=_READ_BYTES)
    except av.FFmpegError as error:
        raise unreadable_error(path, _error_text(error)) from error
    return container, take_custom_orders(container)


def only_video(container: InputContainer) -> VideoStream:
    """Return the video stream of a file that we wrote; for other files use ``engines.video.stream_choice``."""
    if not container.streams.video:
        raise NoVideoError("The file holds no video.")
    return container.streams.video[0]


class PacketReader:
    """Reads the packets of some streams to the end, despite damage, clock jumps and missing times.

    Other streams are not read at all where the format allows it. Iterating raises OSError if the storage fails.

    Attributes:
        errors: number of errors of the demuxer.
        broken_end: whether the demuxer stopped before the end of the file.
    """

    def __init__(self, container: InputContainer, streams: list[Stream]) -> None:
        self._container = container
        self._wanted = {stream.index for stream in streams}
        self._clock = _clock(container.format.name)
        self._read = [*container.streams.video, *container.streams.audio] if self._clock else streams
        self._missing = {stream.index: MissingTimes(_step_s(stream)) for stream in streams}
        self.errors = 0
        self.broken_end = False
        for other in container.streams:
            if other not in self._read:
                other.discard = Discard.all

    def __iter__(self) -> Iterator[Packet[Stream]]:
        yield from self._packets()
        for missing in self._missing.values():
            yield from missing.finish()

    def _packets(self) -> Iterator[Packet[Stream]]:
        in_a_row = 0
        while in_a_row < MAX_ERRORS_IN_A_ROW:
            try:
                for packet in self._container.demux(self._read):
                    if packet.size == 0 and packet.dts is None and packet.pts is None:
                        continue  # PyAV's marker to flush
                    in_a_row = 0
                    if self._clock is not None:
                        self._clock.correct(packet)
                    if packet.stream_index in self._wanted:
                        yield from self._missing[packet.stream_index].take(packet)
            except av.FFmpegError:
                self.errors += 1
                in_a_row += 1
            except IndexError:  # PyAV flushes streams that appeared only after opening
                return
            else:
                self.broken_end = in_a_row > 0
                return
        self.broken_end = True


def _clock(container_format: str) -> Splices | FlvClock | None:
    """Return what joins the times of all streams to one timeline, for formats whose clock may jump."""
    if container_format in splices.FORMATS:
        return Splices()
    return FlvClock() if container_format in flv_clock.FORMATS else None


def _step_s(stream: Stream) -> Fraction | None:
    """Return the time between packets, if the stream has a frame rate."""
    rate = stream.average_rate if isinstance(stream, VideoStream) else None
    return 1 / rate if rate else None


def _error_text(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__
