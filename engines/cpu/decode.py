"""Decode video on the CPU with FFmpeg's codecs, through PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from engines.containers.sniff import is_truncated
from engines.cpu.codec import CodecRun
from engines.cpu.concealment import Concealer, black, blended
from engines.cpu.filters import Converter, Deinterlacer, Upright, output_color
from engines.errors import DecodeFailedError
from engines.frames import Frame, FrameBatch, MediaInfo
from engines.video.geometry import surface_size
from engines.video.seeking import Feed, feed_from
from engines.video.timeline import Slot, step_ticks

RUN_UPS = (2, 8, 32, None)  # keyframes to start before ``start_pts``; None: the start of the file


class Run(Protocol):
    """Decodes a feed. ``broken_end``: the demuxer stopped early; valid when the slots are exhausted."""

    @property
    def broken_end(self) -> bool: ...


class PyAvDecoder:
    """Decodes one video stream into upright SDR frames in NV12. Satisfies ``engines.protocols.Decoder``.

    Args:
        path: the file.
        info: what ``probe`` returned for it.
        max_surface_pixels: larger frames are scaled down, each by its own size; the aspect stays.
        threads: decoder threads; 0 chooses by the number of cores.
        keep_hdr: return P010 frames in the stream's own colours.

    Attributes:
        color: tags of the returned frames (limited range, never RGB; HDR only with ``keep_hdr``).
        truncated: whether the file is shorter than its header says; valid after the last batch.

    Timestamps are the container's, at any rate. Frames without a presentation time (AVI) get the packets' times in
    order; a repeated time moves to the next free tick. The last frame's duration is its packet's, or that of the frame
    before.

    ``engines.cpu.concealment`` replaces lost and damaged frames. The output from ``start_pts`` on is identical to the
    same part of an uninterrupted run: decoding starts at least two keyframes earlier, and as far back as needed to
    find a good frame.
    """

    name = "pyav"
    device = "cpu"
    cpu_fallback = False  # this is the CPU backend, not a fallback

    def __init__(
        self, path: Path, info: MediaInfo, *, max_surface_pixels: int, threads: int = 0, keep_hdr: bool = False
    ) -> None:
        self._path = path
        self._info = info
        self._threads = threads
        self._max_pixels = max_surface_pixels
        self.surface_width, self.surface_height = surface_size(info.video, max_surface_pixels)
        self._keep_hdr = keep_hdr
        self.color = output_color(info.video, keep_hdr=keep_hdr)
        self.replaced_frames = 0
        self.truncated = False
        self._running: Iterator[FrameBatch] | None = None

    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        """Yield batches of up to ``size`` frames from the first whose pts is >= ``start_pts``.

        Raises:
            DecodeFailedError: no frame of the file could be decoded.
            OSError: the storage failed.
        """
        self._running = self._batches(start_pts, size)
        return self._running

    def close(self) -> None:
        """Release the file and the codec. Call it from the thread that takes the batches."""
        close = getattr(self._running, "close", None)
        if close is not None:
            close()
        self._running = None

    def _batches(self, start_pts: int | None, size: int) -> Iterator[FrameBatch]:
        batch: list[Frame] = []
        for frame in self._frames(start_pts):
            batch.append(frame)
            if len(batch) == size:
                yield FrameBatch(tuple(batch), self._info.video.time_base, self.device)
                batch = []
        if batch:
            yield FrameBatch(tuple(batch), self._info.video.time_base, self.device)

    def _frames(self, start_pts: int | None) -> Iterator[Frame]:
        """Yield frames with durations, which are known one frame later."""
        held: tuple[Slot[Upright], bool] | None = None
        step = step_ticks(self._info.video.fps, self._info.video.time_base)
        for slot, is_replaced in self._filled(start_pts):
            if held is not None:
                step = slot.pts - held[0].pts
                yield self._frame(held[0], step, is_replaced=held[1])
            held = (slot, is_replaced)
        if held is not None:
            yield self._frame(held[0], held[0].duration or step, is_replaced=held[1])

    def _frame(self, slot: Slot[Upright], duration: int, *, is_replaced: bool) -> Frame:
        assert slot.frame is not None
        self.replaced_frames += is_replaced
        y, uv, display = slot.frame
        return Frame(y, uv, slot.pts, duration, is_replaced, display)

    def _filled(self, start_pts: int | None) -> Iterator[tuple[Slot[Upright], bool]]:
        """Yield slots from ``start_pts`` on with lost frames replaced; the flag says which were."""
        concealer = Concealer(self._info.video.time_base, self._converter(), self._blended, self._black)
        for slot, is_replaced in concealer.fill(self._slots(start_pts)):
            if start_pts is None or slot.pts >= start_pts:
                yield slot, is_replaced
        if not concealer.found_any:
            raise DecodeFailedError("No frame of the file could be decoded.")

    def _blended(self, before: Upright, after: Upright, weight: float) -> Upright:
        return blended(before, after, weight)

    def _black(self, like: Upright) -> Upright:
        return black(like)

    def _converter(self) -> Callable[[Any], Upright]:
        """Return a function that converts what ``_decoded`` yields to upright planes."""
        return Converter(self._info.video, self._max_pixels, keep_hdr=self._keep_hdr).convert

    def _decoded(self, feed: Feed) -> tuple[Run, Iterator[Slot[Any]]]:
        """Return the feed's deinterlaced frames in their slots."""
        run = CodecRun(self._path, self._info.video, feed, self._threads)
        return run, Deinterlacer(self._info.video.interlaced).run(run.slots())

    def _slots(self, start_pts: int | None) -> Iterator[Slot[Any]]:
        """Yield slots from ``start_pts`` on, preceded by the last good one, whose frame may be a replacement."""
        for keyframes_back in RUN_UPS:
            with feed_from(self._path, self._info.video.index, start_pts, keyframes_back) as feed:
                run, slots = self._decoded(feed)
                before, first = _run_up(slots, start_pts)
                if not feed.from_start and (not before or before[-1].frame is None):
                    continue
                yield from before
                yield from first
                yield from slots
                self.truncated = run.broken_end or is_truncated(self._path)
                return


def _run_up(slots: Iterator[Slot[Any]], start_pts: int | None) -> tuple[list[Slot[Any]], list[Slot[Any]]]:
    """Take slots up to the first at or after ``start_pts``.

    Returns:
        The last good slot before it with the lost ones after that, and the slot itself, each as a list.
    """
    before: list[Slot[Any]] = []
    for slot in slots:
        if start_pts is None or slot.pts >= start_pts:
            return before, [slot]
        if slot.frame is not None:
            before.clear()
        before.append(slot)
    return before, []
