"""Names of the parts into which cameras and recorders cut one recording, since a GPU holds no file of any size."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath

from daemon.share.naming import folded


@dataclass(frozen=True, slots=True)
class Maker:
    """One way of naming parts.

    Attributes:
        pattern: ``key`` is what the names of all parts have in common, ``number`` counts them.
        certain: such a name is given to parts of one recording only; else the number counts all files of a GPU.
        first: number of a first part whose name has none.
    """

    by: str
    pattern: re.Pattern[str]
    certain: bool = False
    first: int = 0


@dataclass(frozen=True, slots=True)
class ChapterName:
    """A name that may be a part's. ``series`` holds folder, maker and key: the parts that can belong together."""

    series: tuple[str, int, str]
    number: int
    certain: bool

    def follows(self, other: ChapterName) -> bool:
        """Whether, by the names, this part comes next after another."""
        return self.series == other.series and self.number == other.number + 1

    @property
    def family(self) -> tuple[str, int]:
        """All files in the folder that are named in the same way."""
        return self.series[:2]


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)  # names are compared folded


MAKERS = (
    Maker("GoPro since HERO6", _pattern(r"g(?P<lens>[hxsl])(?P<number>\d\d)(?P<key>\d{4})\.mp4"), certain=True),
    Maker("GoPro to HERO5", _pattern(r"g(opr|p(?P<number>\d\d))(?P<key>\d{4})\.mp4"), certain=True),
    Maker("AVCHD of Sony, Panasonic, Canon", _pattern(r"(?P<key>)(?P<number>\d{5})\.(mts|m2ts)")),
    Maker("Sony XAVC", _pattern(r"(?P<key>)c(?P<number>\d{4})\.mp4")),
    Maker("DJI", _pattern(r"(?P<key>dji_)(?P<number>\d{4})\.(mp4|mov)")),
    Maker("DJI since Mavic 3", _pattern(r"(?P<key>dji_)\d{14}_(?P<number>\d{4})_[a-z]\.(mp4|mov)")),
    Maker("Insta360", _pattern(r"(?P<key>(vid|pro_vid)_\d{8}_\d{6}_\d\d)_(?P<number>\d{3})\.(mp4|insv)")),
    Maker("Zoom recorders", _pattern(r"(?P<key>zoom\d{4})([-_](?P<number>\d{2,4}))?\.(mov|mp4)")),
    Maker("Zoom meetings", _pattern(r"(?P<key>zoom_|gmt\d{8}-\d{6}_recording_)(?P<number>\d{1,2})\.mp4")),
    Maker("DVD recorders", _pattern(r"(?P<key>vts_\d\d_)(?P<number>[1-9])\.vob")),
)


@lru_cache(maxsize=2**16)
def chapter_name(relative: str) -> ChapterName | None:
    """What a path's name says about parts, None where it is not named like one."""
    path = PurePath(relative)
    name = folded(path.name)
    for number, maker in enumerate(MAKERS):
        if match := maker.pattern.fullmatch(name):
            groups = match.groupdict()
            key = groups.get("lens", "") + groups["key"] + PurePath(name).suffix
            counted = int(groups["number"]) if groups["number"] else maker.first
            return ChapterName((str(path.parent), number, key), counted, maker.certain)
    return None
