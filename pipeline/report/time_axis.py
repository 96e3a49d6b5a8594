"""Times along the duration of a recording, as plots and contact sheet write them."""

from __future__ import annotations


def ticks(duration_s: float, most: int = 13) -> list[float]:
    """Return fewer than ``most`` round times along a duration, in seconds, from 0 on."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((s for s in steps if duration_s / s < most), 7200.0)
    return [n * step for n in range(int(duration_s / step) + 1) if n * step < duration_s * 0.985]


def clock_text(t_s: float) -> str:
    """Format seconds as ``1:02:03.4``, or ``2:03.4`` within the first hour."""
    tenths = int(t_s * 10 + 0.5)
    minutes, seconds = divmod(tenths / 10, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def whole_clock_text(t_s: float) -> str:
    """Format seconds likewise, without tenths if they are 0."""
    text = clock_text(t_s)
    return text.removesuffix(".0")
