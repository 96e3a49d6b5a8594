"""HDR and BT.2020 colours as BT.709 SDR: one function on R'G'B', and the same as a table for the devices.

1. To light on a display, in cd/m2. HLG: inverse OETF and OOTF of ITU-R BT.2100 for a display of 1000 cd/m2 (gamma 1.2).
   PQ: EOTF of BT.2100. SDR in BT.2020: EOTF of BT.1886, white at ``SDR_WHITE``.
2. HDR alone: the EETF of ITU-R BT.2390 (section 5.4.1, black at 0), in PQ's code values, from the source's peak to
   ``SDR_WHITE``. It is worked out for the largest of R, G, B, and all three are scaled alike: hue and saturation stay.
3. Primaries to BT.709's, in linear light. What lies outside is moved towards the grey of the same luminance until it is
   just inside: brightness and hue stay, saturation gives way.
4. Inverse of BT.1886: R'G'B' = (light / ``SDR_WHITE``) ^ (1 / 2.4).

``SDR_WHITE`` is the reference white of HDR (ITU-R BT.2408), so what is not brighter than a face keeps its brightness.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engines.frames import ColorTags

SDR_WHITE = 203.0  # cd/m2
USUAL_PEAK = 1000.0  # cd/m2, of PQ without metadata, and of HLG's reference display
PEAKS = 203.0, 10_000.0  # the range that is accepted from metadata
TABLE_SIZE = 65
PRIMARIES_BT709, PRIMARIES_BT2020, PRIMARIES_P3 = 1, 9, 12  # ITU-T H.273, table 2
TRANSFER_PQ, TRANSFER_HLG = 16, 18  # ... and table 3
_UNSPECIFIED = 2
_SDR_GAMMA, _HLG_GAMMA = 2.4, 1.2
_LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593])
_LUMA_BT709 = np.array([0.2126, 0.7152, 0.0722])
_WHITE_D65 = (0.3127, 0.3290)
_CHROMATICITIES = {  # of red, green and blue
    PRIMARIES_BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    PRIMARIES_BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    PRIMARIES_P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}

Transfer: TypeAlias = Literal["hlg", "pq", "sdr"]
Floats: TypeAlias = NDArray[np.float64]
Table: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ToneSource:
    """The properties of a source that mapping needs. ``peak`` is its brightest white, cd/m2; only PQ's varies."""

    transfer: Transfer
    primaries: int
    peak: float = USUAL_PEAK


def tone_source(color: ColorTags, peak: float | None = None) -> ToneSource | None:
    """Return how to map frames with these tags, or None if they are SDR in usual colours.

    ``peak`` comes from metadata, cd/m2. HDR without known primaries is BT.2020.
    """
    primaries = PRIMARIES_BT2020 if color.primaries == _UNSPECIFIED else color.primaries
    if primaries not in _CHROMATICITIES:
        primaries = PRIMARIES_BT709
    if color.transfer == TRANSFER_PQ:
        return ToneSource("pq", primaries, min(max(peak or USUAL_PEAK, PEAKS[0]), PEAKS[1]))
    if color.transfer == TRANSFER_HLG:
        return ToneSource("hlg", primaries)
    return ToneSource("sdr", PRIMARIES_BT2020) if color.primaries == PRIMARIES_BT2020 else None


def to_sdr(rgb: Floats, source: ToneSource) -> Floats:
    """Return R'G'B' of BT.709 SDR, 0..1, for R'G'B' of the source, shape (..., 3), 0..1."""
    light = _display_light(rgb, source.transfer)
    if source.transfer != "sdr":
        light = _compressed(light, source.peak)
    light = _inside(light @ _to_bt709(source.primaries).T / SDR_WHITE)
    encoded: Floats = light ** (1 / _SDR_GAMMA)
    return encoded


@functools.lru_cache(maxsize=8)
def table(source: ToneSource, size: int = TABLE_SIZE) -> Table:
    """Return ``to_sdr`` of a grid of R'G'B', shape (size, size, size, 3), indexed by R', G', B'. Do not write to it."""
    axis = np.linspace(0.0, 1.0, size)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    return to_sdr(grid, source).astype(np.float32)


def _display_light(rgb: Floats, transfer: Transfer) -> Floats:
    """Return linear light in cd/m2."""
    if transfer == "pq":
        return np.asarray(pq_to_light(rgb))
    if transfer == "sdr":
        return np.asarray(SDR_WHITE * rgb**_SDR_GAMMA)
    scene = _hlg_to_scene(rgb)
    luma = scene @ _LUMA_BT2020
    return np.asarray(USUAL_PEAK * luma[..., None] ** (_HLG_GAMMA - 1) * scene)


def _hlg_to_scene(rgb: Floats) -> Floats:
    """Apply the inverse OETF of HLG (BT.2100, table 5)."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.asarray(np.where(rgb <= 0.5, rgb**2 / 3, (np.exp((rgb - c) / a) + b) / 12))


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def pq_to_light(code: Any) -> Any:
    """Apply the EOTF of PQ (BT.2100, table 4): code values 0..1 to cd/m2."""
    power = np.asarray(code) ** (1 / _M2)
    return 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def light_to_pq(light: Any) -> Any:
    """Apply the inverse of ``pq_to_light``."""
    power = (np.asarray(light) / 10_000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _compressed(light: Floats, peak: float) -> Floats:
    """Return the light of a source with this peak for a display whose peak is ``SDR_WHITE``."""
    largest = light.max(axis=-1, keepdims=True)
    mapped = pq_to_light(eetf(light_to_pq(np.minimum(largest, peak)), peak))
    return np.asarray(light * np.divide(mapped, largest, out=np.ones_like(largest), where=largest > 0))


def eetf(code: Any, peak: float) -> Any:
    """Apply BT.2390's EETF, from PQ code values to PQ code values: a Hermite spline above the knee."""
    source_peak = light_to_pq(peak)
    most = light_to_pq(SDR_WHITE) / source_peak
    knee = 1.5 * most - 0.5
    e = code / source_peak
    t = (e - knee) / (1 - knee) if knee < 1 else np.zeros_like(e)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return np.where(e < knee, e, spline) * source_peak


def _inside(light: Floats) -> Floats:
    """Return light in BT.709's primaries, white at 1; values outside 0..1 move towards the grey of its luminance."""
    grey = np.clip(light @ _LUMA_BT709, 0, 1)[..., None]
    away = light - grey
    room = np.where(away > 0, 1 - grey, -grey)
    share = np.divide(room, away, out=np.ones_like(away), where=np.abs(away) > 1e-12).min(axis=-1, keepdims=True)
    return np.asarray(np.clip(grey + np.minimum(share, 1) * away, 0, 1))


@functools.cache
def _to_bt709(primaries: int) -> Floats:
    """Return the matrix from linear RGB of these primaries to BT.709's (SMPTE RP 177)."""
    return np.asarray(np.linalg.inv(_to_xyz(PRIMARIES_BT709)) @ _to_xyz(primaries))


def _to_xyz(primaries: int) -> Floats:
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in (*_CHROMATICITIES[primaries], _WHITE_D65)]).T
    return np.asarray(columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3]))
