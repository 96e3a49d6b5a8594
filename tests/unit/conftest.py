"""Fixtures of several packages' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.planted import PLANTED, VICTIM, plant


@pytest.fixture(params=PLANTED)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Plant something at a path; after the test, the file that it leads to must be unchanged."""
    victim = tmp_path / "victim"
    yield lambda path: plant(path, request.param, victim)
    assert victim.read_bytes() == VICTIM
    assert not (tmp_path / "nowhere").exists()
