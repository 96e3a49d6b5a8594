"""Decide the channels of the result and how the source's channels are mapped to them.

| rule      | source                                            | result                                            |
|-----------|---------------------------------------------------|---------------------------------------------------|
| kept      | mono, stereo, 3.0, 4.0, 5.0, 5.1, 7.1             | the same, channel by channel                      |
| kept      | one or two channels without names                 | mono, stereo                                      |
| positions | other named layouts (2.1, quad, 6.1, 7.1 wide)    | stereo: left and right at 0 dB, others at -3 dB   |
| discrete  | three or more channels that have not all a name   | every channel at 0 dB on both sides of stereo     |
| discrete  | a channel named LFE that carries more than bass   | likewise                                          |

Where stereo is asked for (``AudioPolicy.mode`` "aac-stereo"), or the layout changes midway, named layouts are mapped
by "positions" and mono to both sides. A mix is attenuated only as far as the peak of its sum requires, all channels
alike. No channel is taken for LFE because of its number. The -3 dB follow ITU-R BS.775; unlike there, LFE is part of
stereo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from av.audio.layout import AudioLayout

from engines.containers.channel_layouts import Labels, native_order

Rule = Literal["kept", "positions", "discrete"]
Gains = tuple[tuple[float, ...], ...]

KEPT = {
    "mono": "mono", "stereo": "stereo", "downmix": "stereo", "3.0": "3.0", "4.0": "4.0", "5.0": "5.0",
    "5.0(side)": "5.0", "5.1": "5.1", "5.1(side)": "5.1", "7.1": "7.1",
}  # fmt: skip
UNNAMED = {1: "mono", 2: "stereo"}
LFE_NAMES = {"LFE", "LFE2"}

_HALF = sqrt(0.5)
_BOTH, _LEFT, _RIGHT = (_HALF, _HALF), (_HALF, 0.0), (0.0, _HALF)
_PLACES = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "DL": (1.0, 0.0), "DR": (0.0, 1.0),
    **dict.fromkeys(("FC", "LFE", "LFE2", "BC", "TC", "TFC", "TBC", "BFC"), _BOTH),
    **dict.fromkeys(("BL", "SL", "FLC", "WL", "TFL", "TBL", "TSL", "BFL", "SDL", "SSL", "TTL"), _LEFT),
    **dict.fromkeys(("BR", "SR", "FRC", "WR", "TFR", "TBR", "TSR", "BFR", "SDR", "SSR", "TTR"), _RIGHT),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChannelMapping:
    """How a source's channels become those of the result.

    Attributes:
        layout: of the result, FFmpeg's name.
        gains: a row for each channel of the result, a factor for each of the source.
    """

    rule: Rule
    layout: str
    gains: Gains

    def pan(self, scale: float) -> str:
        """Return the arguments of FFmpeg's filter ``pan``, all gains multiplied by ``scale``."""
        rows = ("+".join(f"{g * scale:.9f}*c{n}" for n, g in enumerate(row) if g) for row in self.gains)
        return "|".join([self.layout, *(f"c{number}={row}" for number, row in enumerate(rows))])


def map_channels(
    layout: AudioLayout, labels: Labels | None, *, stereo: bool = False, lfe_is_microphone: bool = False
) -> ChannelMapping:
    """Return the mapping of a layout, by the table above.

    Args:
        labels: the channel labels that the file gives where the layout does not (``AudioInfo.channel_labels``).
        stereo: whether the result must be stereo.
        lfe_is_microphone: whether the channel named LFE, if there is one, has more than bass.
    """
    names, kept, order = _named(layout, labels)
    if not _is_trusted(names, lfe_is_microphone):
        return _unnamed(layout.nb_channels, stereo)
    if kept and (kept == "stereo" or not stereo):
        return ChannelMapping("kept", kept, _picked(order))
    if kept == "mono":
        return _same_on_both_sides("kept", 1)
    return ChannelMapping("positions", "stereo", _sides([_PLACES[name] for name in names]))


def channel_names(layout: AudioLayout, labels: Labels | None) -> Labels:
    """Return the names of the channels in stored order."""
    return _named(layout, labels)[0]


def _named(layout: AudioLayout, labels: Labels | None) -> tuple[Labels, str | None, tuple[int, ...]]:
    """Return the names as stored, the AAC layout that they form, if any, and the position of each of its channels."""
    order = native_order(layout, labels)
    if order is not None and labels is not None:
        return labels, KEPT.get(AudioLayout(order.layout).name), order.sources
    names = tuple(channel.name for channel in layout.channels)
    return names, KEPT.get(layout.name), tuple(range(layout.nb_channels))


def _is_trusted(names: Sequence[str], lfe_is_microphone: bool) -> bool:
    return all(name in _PLACES and not (lfe_is_microphone and name in LFE_NAMES) for name in names)


def _unnamed(channels: int, stereo: bool) -> ChannelMapping:
    if channels in UNNAMED and not (stereo and channels == 1):
        return ChannelMapping("kept", UNNAMED[channels], _picked(range(channels)))
    return _same_on_both_sides("kept" if channels == 1 else "discrete", channels)


def _same_on_both_sides(rule: Rule, channels: int) -> ChannelMapping:
    return ChannelMapping(rule, "stereo", _sides([(1.0, 1.0)] * channels))


def _sides(places: Sequence[tuple[float, float]]) -> Gains:
    return tuple(place[0] for place in places), tuple(place[1] for place in places)


def _picked(sources: Sequence[int]) -> Gains:
    """Return gains that pass these channels of the source on."""
    return tuple(tuple(float(channel == source) for channel in range(len(sources))) for source in sources)
