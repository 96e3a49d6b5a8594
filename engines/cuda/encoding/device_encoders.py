"""The encoder for frames in a GPU's memory: NVENC, or x264 if the GPU or the settings leave no NVENC."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction

from engines.cpu.encode import X264Encoder
from engines.cuda.cross_process import Slots, shared_directory
from engines.cuda.encoding.download import DownloadingEncoder
from engines.cuda.encoding.nvenc import NvencEncoder
from engines.cuda.encoding.sessions import EncoderSessions, choose_encoder, probe_sessions
from engines.cuda.gpu_selection import settings_number
from engines.frames import ColorTags
from engines.nvenc_sessions import SessionProbe
from engines.protocols import Encoder
from engines.settings import DeviceSettings, EncoderSettings

_TRY_S = 1.0  # wait for a session; after that the caller checks whether the job still needs one


class DeviceEncoders:
    """Makes the encoders of one GPU, as settings and GPU allow.

    Args:
        counted: the GPU's sessions, counted before any job began. If None, only one is tried: a count would take
            sessions from other jobs for a moment, and miss those in use.

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
        """Open an encoder for frames on the GPU. ``stream`` is the CUstream on which they are drawn.

        Raises:
            EncoderBusyError: no NVENC session came free within a second; the caller may try again.
            EncoderMissingError: NVENC is required, and the GPU has none.
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

    def free_spare_slots(self) -> None:
        """Free the slots that no open encoder uses for other processes."""
        if self._sessions is not None:
            self._sessions.free_spare_slots()

    def _probed(self) -> SessionProbe:
        if self._device.nvenc_max_sessions == 0:
            return SessionProbe(0, "nvenc_max_sessions is 0")
        if self._found is None:
            self._found = self._probe(self._device.gpu, 1)
        return self._found

    def _shared_sessions(self) -> EncoderSessions:
        if self._sessions is None:
            limit = self._limit()
            slots = None
            if limit is not None:
                slots = Slots(shared_directory() / f"nvenc-{settings_number(self._device.gpu)}", limit)
            self._sessions = EncoderSessions(limit, slots=slots, wait_s=min(_TRY_S, self._device.nvenc_wait_s))
        return self._sessions

    def _limit(self) -> int | None:
        """Return how many sessions all jobs on the GPU may hold; None leaves that to the driver."""
        if self._device.nvenc_max_sessions != "auto":
            return self._device.nvenc_max_sessions
        counted = self._counted
        return counted.opened or None if counted and counted.error else None  # without an error there are more
