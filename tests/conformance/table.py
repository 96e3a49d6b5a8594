"""All rows of the table, in the order of the document."""

from __future__ import annotations

from tests.conformance import (
    rows_audio,
    rows_codecs,
    rows_containers,
    rows_damage,
    rows_streams,
    rows_time,
    rows_video,
)
from tests.conformance.row import Row

SECTIONS: dict[str, list[Row]] = {
    "Containers": rows_containers.ROWS,
    "Video codecs": rows_codecs.ROWS,
    "Audio": rows_audio.ROWS,
    "Times": rows_time.ROWS,
    "Geometry": rows_video.GEOMETRY,
    "Colour": rows_video.COLOUR,
    "Streams and description": rows_streams.ROWS,
    "Damage, and what is no recording": rows_damage.ROWS,
}
ROWS = [row for rows in SECTIONS.values() for row in rows]
