"""All rows of the table, in the order of the document."""

from __future__ import annotations

from tests.conformance import (
    rows_codecs,
    rows_containers,
    rows_damage,
    rows_picture,
    rows_sound,
    rows_streams,
    rows_time,
)
from tests.conformance.row import Row

SECTIONS: dict[str, list[Row]] = {
    "Containers": rows_containers.ROWS,
    "Video codecs": rows_codecs.ROWS,
    "Sound": rows_sound.ROWS,
    "Times": rows_time.ROWS,
    "Geometry": rows_picture.GEOMETRY,
    "Colour": rows_picture.COLOUR,
    "Streams and description": rows_streams.ROWS,
    "Damage, and what is no recording": rows_damage.ROWS,
}
ROWS = [row for rows in SECTIONS.values() for row in rows]
