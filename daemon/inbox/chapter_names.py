"""Names of the parts into which cameras and recorders split one recording, as memory cards limit the size of files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath

from daemon.share.naming import folded


@dataclass(frozen=True, slots=True)
class NamingScheme:
    """The names that one kind of device gives to parts.

    Attributes:
        by: the device.
        pattern: ``key`` is what all parts have in common, ``number`` counts them.
        certain: only parts of one recording get such names; otherwise the number counts all files of a memory card.
        first: the number of a first part that has none in its name.
    """

    by: str
    pattern: re.Pattern[str]
    certain: bool = False
    first: int = 0


@dataclass(frozen=True, slots=True)
class ChapterName:
    """A file name that may be that of a part.

    Attributes:
        series: folder, naming scheme and key; parts of one recording have the same.
        number: the position in the series.
        certain: see ``NamingScheme``.
    """

    series: tuple[str, int, str]
    number: int
    certain: bool

    def follows(self, other: ChapterName) -> bool:
        """Return whether this part is the next one after the other, by the names."""
        return self.series == other.series and self.number == other.number + 1

    @property
    def family(self) -> tuple[str, int]:
        """Folder and naming scheme."""
        return self.series[:2]


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)  # names are compared folded


SCHEMES = (
    NamingScheme("GoPro since HERO6", _pattern(r"g(?P<lens>[hxsl])(?P<number>\d\d)(?P<key>\d{4})\.mp4"), certain=True),
    NamingScheme("GoPro to HERO5", _pattern(r"g(opr|p(?P<number>\d\d))(?P<key>\d{4})\.mp4"), certain=True),
    NamingScheme("AVCHD of Sony, Panasonic, Canon", _pattern(r"(?P<key>)(?P<number>\d{5})\.(mts|m2ts)")),
    NamingScheme("Sony XAVC", _pattern(r"(?P<key>)c(?P<number>\d{4})\.mp4")),
    NamingScheme("DJI", _pattern(r"(?P<key>dji_)(?P<number>\d{4})\.(mp4|mov)")),
    NamingScheme("DJI since Mavic 3", _pattern(r"(?P<key>dji_)\d{14}_(?P<number>\d{4})_[a-z]\.(mp4|mov)")),
    NamingScheme("Insta360", _pattern(r"(?P<key>(vid|pro_vid)_\d{8}_\d{6}_\d\d)_(?P<number>\d{3})\.(mp4|insv)")),
    NamingScheme("Zoom recorders", _pattern(r"(?P<key>zoom\d{4})([-_](?P<number>\d{2,4}))?\.(mov|mp4)")),
    NamingScheme("Zoom meetings", _pattern(r"(?P<key>zoom_|gmt\d{8}-\d{6}_recording_)(?P<number>\d{1,2})\.mp4")),
    NamingScheme("DVD recorders", _pattern(r"(?P<key>vts_\d\d_)(?P<number>[1-9])\.vob")),
)


@lru_cache(maxsize=2**16)
def chapter_name(relative: str) -> ChapterName | None:
    """Parse the name of a file; None if it is not named like a part."""
    path = PurePath(relative)
    name = folded(path.name)
    for number, scheme in enumerate(SCHEMES):
        if match := scheme.pattern.fullmatch(name):
            groups = match.groupdict()
            key = groups.get("lens", "") + groups["key"] + PurePath(name).suffix
            counted = int(groups["number"]) if groups["number"] else scheme.first
            return ChapterName((str(path.parent), number, key), counted, scheme.certain)
    return None
