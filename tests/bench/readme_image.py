"""The image of README: ``python -m tests.bench.readme_image docs/in-and-out.jpg``.

Makes the recording of the demo, runs ``dualface process`` on it, and writes one frame of the recording above the same
moment of the result. It takes some minutes and needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

_MOMENT_S = 4.5  # one of them speaks, and both sit apart
_WIDTH, _GAP = 960, 12
_QUALITY = 82
_WHITE = 255

Image = NDArray[np.uint8]


def main() -> None:
    """Parse the arguments, and write the image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, help="JPEG to write")
    image: Path = parser.parse_args().image
    with tempfile.TemporaryDirectory(prefix="dualface-image-") as folder:
        source, result = _recording_and_result(Path(folder))
        above, below = (_frame_at(path, _MOMENT_S) for path in (source, result))
    gap = np.full((_GAP, _WIDTH, 3), _WHITE, np.uint8)
    stacked = np.concatenate([_scaled(above), gap, _scaled(below)])
    if not cv2.imwrite(str(image), stacked, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
        raise SystemExit(f"{image} cannot be written.")


def _recording_and_result(folder: Path) -> tuple[Path, Path]:
    source = folder / "interview.mp4"
    _run("pipeline.sample", str(source))
    _run("daemon", "process", str(source), "--output", str(folder))
    return source, folder / "interview.dual.mp4"


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def _frame_at(path: Path, moment_s: float) -> Image:
    """The first frame at or after a moment; BGR, shape (H, W, 3)."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= moment_s:
                return frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    raise SystemExit(f"{path.name} ends before {moment_s} s.")


def _scaled(frame: Image) -> Image:
    height = round(frame.shape[0] * _WIDTH / frame.shape[1])
    return cv2.resize(frame, (_WIDTH, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


if __name__ == "__main__":
    main()
