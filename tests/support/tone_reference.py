"""HDR to SDR once more, colour by colour in floats and straight from the recommendations: the tests' reference.

Written apart from ``engines.tone_map``; matrices are the published ones (ITU-R BT.2087, SMPTE EG 432-1).
"""

from __future__ import annotations

import math

import numpy as np

Rgb = tuple[float, float, float]

SDR_PEAK = 203.0
BT2020_TO_BT709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))


def pq_eotf(code: float) -> float:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = code ** (1 / m2)
    return 10_000 * (max(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def pq_inverse(light: float) -> float:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    y = (light / 10_000) ** m1
    return ((c1 + c2 * y) / (1 + c3 * y)) ** m2


def hlg_light(rgb: Rgb) -> Rgb:
    """BT.2100: inverse OETF, then the OOTF of a display of 1000 cd/m2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    r, g, bl = (e * e / 3 if e <= 0.5 else (math.exp((e - c) / a) + b) / 12 for e in rgb)
    y = 0.2627 * r + 0.6780 * g + 0.0593 * bl
    gain = 1000 * y**0.2
    return gain * r, gain * g, gain * bl


def bt2390(code: float, peak: float) -> float:
    """The EETF for black at 0, of PQ code values."""
    top = pq_inverse(peak)
    e1, most = min(code / top, 1.0), pq_inverse(SDR_PEAK) / top
    ks = 1.5 * most - 0.5
    if e1 < ks:
        return e1 * top
    t = (e1 - ks) / (1 - ks)
    p = (2 * t**3 - 3 * t**2 + 1) * ks + (t**3 - 2 * t**2 + t) * (1 - ks) + (-2 * t**3 + 3 * t**2) * most
    return p * top


def sdr(rgb: Rgb, transfer: str, peak: float = 1000.0) -> Rgb:
    """R'G'B' of BT.2020 in a transfer ("hlg", "pq", "sdr"), 0..1, as R'G'B' of BT.709."""
    if transfer == "hlg":
        light = hlg_light(rgb)
    elif transfer == "pq":
        light = tuple(pq_eotf(e) for e in rgb)
    else:
        light = tuple(SDR_PEAK * e**2.4 for e in rgb)
    largest = max(light)
    if transfer != "sdr" and largest > 0:
        gain = pq_eotf(bt2390(pq_inverse(largest), peak)) / largest
        light = tuple(gain * e for e in light)
    linear = [sum(m * e for m, e in zip(row, light, strict=True)) / SDR_PEAK for row in BT2020_TO_BT709]
    grey = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    share = 1.0
    for e in linear:
        if e < 0:
            share = min(share, grey / (grey - e))
        if e > 1:
            share = min(share, (1 - grey) / (e - grey))
    inside = (min(max(grey + share * (e - grey), 0.0), 1.0) for e in linear)
    r, g, b = (e ** (1 / 2.4) for e in inside)
    return r, g, b


LIMITED, FULL = (64, 876, 896), (0, 1023, 1023)  # of 10 bits: black, and steps of luma and chroma


def ten_bits(rgb: Rgb, levels: tuple[int, int, int] = LIMITED) -> tuple[int, int, int]:
    """Y', Cb', Cr' of R'G'B', BT.2020 non-constant luminance."""
    black, luma_steps, chroma_steps = levels
    y = 0.2627 * rgb[0] + 0.6780 * rgb[1] + 0.0593 * rgb[2]
    cb, cr = (rgb[2] - y) / 1.8814, (rgb[0] - y) / 1.4746
    chroma = (min(1023, round(512 + chroma_steps * c)) for c in (cb, cr))
    return (round(black + luma_steps * y), *chroma)  # type: ignore[return-value]


def from_ten_bits(ycc: tuple[int, int, int], levels: tuple[int, int, int] = LIMITED) -> Rgb:
    black, luma_steps, chroma_steps = levels
    y, cb, cr = (ycc[0] - black) / luma_steps, (ycc[1] - 512) / chroma_steps, (ycc[2] - 512) / chroma_steps
    r, b = y + 1.4746 * cr, y + 1.8814 * cb
    g = (y - 0.2627 * r - 0.0593 * b) / 0.6780
    return tuple(min(max(e, 0.0), 1.0) for e in (r, g, b))  # type: ignore[return-value]


def eight_bits(rgb: Rgb) -> np.ndarray:
    """Y', Cb', Cr' of R'G'B', BT.709, limited range, not rounded."""
    y = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
    return np.array([16 + 219 * y, 128 + 224 * (rgb[2] - y) / 1.8556, 128 + 224 * (rgb[0] - y) / 1.5748])


X265 = {"x265-params": "log-level=none:lossless=1:bframes=0"}
