"""Share of faces that the detector misses, by skin tone and light: ``python -m tests.bench.skin_tones [--stills N]``.

Every still is drawn once for each tone, alike in everything else. The tones are the six classes of the individual
typology angle, from very light to dark.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.drawn.sightings import face_finder
from tests.support.drawn.skin import TYPOLOGY_ANGLES
from tests.support.drawn.tones import LIGHTS, drawings, miss_rates


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stills", type=int, default=150, help="stills of two faces for each light and tone")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--light", choices=tuple(LIGHTS), action="append", help="only these")
    options = parser.parse_args(arguments)
    seeds = range(options.first, options.first + options.stills)
    with tempfile.TemporaryDirectory() as folder:
        path = next(drawings(LIGHTS["full"], [0]))[0].write(Path(folder) / "drawn.mp4")
        finder = face_finder(path)
    heads = "".join(f"{angle:>7}" for angle in TYPOLOGY_ANGLES)
    sys.stdout.write(f"{'missed, %; typology angle:':28}{heads}   range\n")
    for light in options.light or LIGHTS:
        rates = [100 * rate for rate in miss_rates(finder, LIGHTS[light], seeds)]
        columns = "".join(f"{rate:7.1f}" for rate in rates)
        sys.stdout.write(f"{light:28}{columns}{max(rates) - min(rates):8.1f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
