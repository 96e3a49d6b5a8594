"""F1 of the shot detector on drawn films, by style: ``python -m tests.bench.shots [--films N] [--write DIR]``.

``--write`` stores the films as lossless files NAME.mkv with NAME.json, so that other detectors can be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from pipeline.detection.shot_detector import ShotDetector
from tests.support.films import FPS, SIZE, STYLES, Film, draw, f1, score


def found_in(film: Film) -> list[int]:
    """Return the frames at which the detector finds a new shot."""
    return [i for i, cut in enumerate(ShotDetector().observe(film.thumbnails())) if cut]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=6, help="films of each style")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--write", type=Path, help="folder for the films")
    options = parser.parse_args(arguments)
    every = []
    for style in STYLES:
        counts = []
        for seed in range(options.first, options.first + options.films):
            film = draw(style, seed)
            counts.append(score(film, found_in(film)))
            if options.write:
                _write(film, options.write / f"{style.replace(' ', '-')}-{seed}")
        every += counts
        sys.stdout.write(
            f"{style:22} F1 {f1(counts):.3f}  found, wrong, missed {tuple(map(sum, zip(*counts, strict=True)))}\n"
        )
    sys.stdout.write(f"{'all':22} F1 {f1(every):.3f}\n")


def _write(film: Film, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps({"style": film.style, "transitions": film.transitions}))
    with av.open(str(path.with_suffix(".mkv")), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "crf": "4"}
        for image in film.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
