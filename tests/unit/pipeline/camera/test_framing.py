"""How close crops go."""

from __future__ import annotations

import pytest

from pipeline.camera.framing import Framing
from pipeline.settings import CameraSettings
from tests.support.cameras import face, film, scene


@pytest.mark.parametrize(
    ("lines", "upscale_max", "limit"),
    [
        (1080, 2.5, 2.5),
        (720, 2.5, 2.5),
        (648, 2.5, 2.5),
        (540, 2.5, 3.0),
        (360, 2.5, 4.5),
        (270, 2.5, 6.0),
        (360, 5.0, 5.0),
    ],
)
def test_the_limit_is_upscale_max_or_half_as_much_again_as_the_whole_height(
    lines: int, upscale_max: float, limit: float
) -> None:
    settings = CameraSettings(upscale_max=upscale_max)
    width = 16 * lines // 9
    narrowest = Framing(settings, width, lines).narrowest
    assert 1080 / (narrowest * 1.125) == pytest.approx(limit, rel=1e-3)
    far = [
        scene(i, face(0.3 * width, 0.4 * lines, 0.05 * lines), face(0.7 * width, 0.4 * lines, 0.05 * lines))
        for i in range(40)
    ]
    crop = film(far, width=width, height=lines, camera=settings)[-1].left.crop
    assert 1080 / crop.h == pytest.approx(limit, rel=0.12)
    assert 1080 / crop.h <= 1.05 * limit
