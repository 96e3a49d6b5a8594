"""A correlation filter: it finds what one luma chip shows in another one, and tells how alike they are."""

from __future__ import annotations

import base64
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHIP = 64  # pixels: side of a chip; the target fills the middle, its surroundings fade out
_RESPONSE_SPREAD = 2.0  # pixels: standard deviation of the peak that the filter is trained to give
_KERNEL_SPREAD = 0.6  # of the norm of a chip's features
_REGULARIZATION = 1e-4
_LEAST_CONTRAST = 4.0  # levels of luma: flatter chips are not stretched further

Chip = NDArray[np.uint8]
Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex128]


class Response(NamedTuple):
    """Where the filter finds its target in a chip.

    Attributes:
        dx, dy: from the middle of the chip, in pixels of the chip and parts of them.
        peak: height of the response: 1 for the chip that the filter knows, about 0.05 for any other.
    """

    dx: float
    dy: float
    peak: float


class CorrelationFilter:
    """Follows one target by luma and its gradients, without a model of what it is.

    Henriques et al., "High-Speed Tracking with Kernelized Correlation Filters", TPAMI 2015, with a Gaussian kernel
    over several channels.

    Args:
        chip: luma, shape (``CHIP``, ``CHIP``), with the target in the middle.
    """

    def __init__(self, chip: Chip) -> None:
        self._known = _normalized(chip)
        self._train()

    def locate(self, chip: Chip) -> Response:
        """Find the target in a chip."""
        spectrum = np.fft.rfft2(_features(_normalized(chip)))
        response = np.fft.irfft2(self._weights * _kernel(spectrum, self._spectrum), s=(CHIP, CHIP))
        row, column = (int(n) for n in np.unravel_index(int(response.argmax()), response.shape))
        dx = _signed(column) + _between(response[row], column)
        dy = _signed(row) + _between(response[:, column], row)
        return Response(dx, dy, float(response[row, column]))

    def learn(self, chip: Chip, share: float) -> None:
        """Mix a chip with the target in its middle into what the filter knows."""
        self._known = np.float32(1 - share) * self._known + np.float32(share) * _normalized(chip)
        self._train()

    def state(self) -> str:
        return base64.b64encode(self._known.tobytes()).decode()

    @classmethod
    def restored(cls, state: str) -> CorrelationFilter:
        known = np.frombuffer(base64.b64decode(state), np.float32).reshape(CHIP, CHIP)
        result = cls.__new__(cls)
        result._known = known
        result._train()
        return result

    def _train(self) -> None:
        self._spectrum = np.fft.rfft2(_features(self._known))
        self._weights = _WANTED / (_kernel(self._spectrum, self._spectrum) + _REGULARIZATION)


def _normalized(chip: Chip) -> Floats:
    luma = chip.astype(np.float32)
    normalized: Floats = (luma - luma.mean()) / (luma.std() + np.float32(_LEAST_CONTRAST))
    return normalized


def _features(luma: Floats) -> Floats:
    """Return luma and its gradients in four directions under a window, shape (5, CHIP, CHIP)."""
    down, across = np.gradient(luma)
    channels = [luma / 2, *(np.maximum(g, 0) for g in (across, -across, down, -down))]
    return np.stack(channels) * _WINDOW


def _kernel(a: Spectrum, b: Spectrum) -> Spectrum:
    """Return the spectrum of the Gaussian kernel between two feature spectra, for all shifts of one to the other."""
    products = np.fft.irfft2((a * b.conj()).sum(axis=0), s=(CHIP, CHIP))
    norms = _norm(a) + _norm(b)
    return np.fft.rfft2(np.exp(-np.maximum(norms - 2 * products, 0) / (_KERNEL_SPREAD**2 * norms + 1e-12)))


def _norm(spectrum: Spectrum) -> float:
    """Return the squared norm of features from their half spectrum (Parseval)."""
    power = np.abs(spectrum) ** 2
    return float(2 * power.sum() - power[..., 0].sum() - power[..., -1].sum()) / CHIP**2


def _between(line: NDArray[np.float64], peak: int) -> float:
    """Return where the vertex of the parabola through a peak and its neighbours lies, -0.5..0.5 from the peak."""
    before, top, after = (float(line[(peak + n) % CHIP]) for n in (-1, 0, 1))
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def _signed(shift: int) -> int:
    return shift - CHIP if shift > CHIP // 2 else shift


def _wanted() -> Spectrum:
    steps = np.minimum(np.arange(CHIP), CHIP - np.arange(CHIP)) ** 2
    return np.fft.rfft2(np.exp(-(steps[:, None] + steps) / (2 * _RESPONSE_SPREAD**2)))


_WANTED = _wanted()
_WINDOW = np.outer(np.hanning(CHIP), np.hanning(CHIP)).astype(np.float32)
