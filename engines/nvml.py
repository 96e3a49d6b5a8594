"""What the driver's management library says of the cards: a look from outside that needs no CUDA context."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CardLoad:
    """One card at one moment; None where the card or its driver does not say.

    Attributes:
        index: NVML's number, which may differ from CUDA's.
    """

    index: int
    name: str
    gpu_percent: float | None
    vram_used_bytes: int | None
    vram_total_bytes: int | None
    nvdec_percent: float | None
    nvenc_percent: float | None


class CardWatch:
    """Reads all cards. Without the driver or its Python package there are none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
        except Exception as error:  # no package, no driver: NVMLError derives from Exception alone
            log.debug("no cards to watch", reason=str(error))
        else:
            self._nvml = nvml

    def read(self) -> list[CardLoad]:
        """The load of each card. May take long where a driver is in trouble."""
        if self._nvml is None:
            return []
        return [self._card(index) for index in range(self._ask(self._nvml.nvmlDeviceGetCount) or 0)]

    def _card(self, index: int) -> CardLoad:
        nvml = self._nvml
        card = nvml.nvmlDeviceGetHandleByIndex(index)
        load = self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(card))
        memory = self._ask(lambda: nvml.nvmlDeviceGetMemoryInfo(card))
        decoder = self._ask(lambda: nvml.nvmlDeviceGetDecoderUtilization(card))
        return CardLoad(
            index=index,
            name=str(self._ask(lambda: nvml.nvmlDeviceGetName(card)) or "unknown"),
            gpu_percent=float(load.gpu) if load else None,
            vram_used_bytes=int(memory.used) if memory else None,
            vram_total_bytes=int(memory.total) if memory else None,
            nvdec_percent=float(decoder[0]) if decoder else None,
            nvenc_percent=self._encoder_percent(card),
        )

    def _encoder_percent(self, card: Any) -> float | None:
        """Use of the encoders; a card without any says 0 % for ever, so it is asked what they can do first."""
        nvml = self._nvml
        if self._ask(lambda: nvml.nvmlDeviceGetEncoderCapacity(card, nvml.NVML_ENCODER_QUERY_H264)) is None:
            return None
        load = self._ask(lambda: nvml.nvmlDeviceGetEncoderUtilization(card))
        return float(load[0]) if load else None

    def _ask(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except self._nvml.NVMLError:
            return None
