"""What holds for all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from engines.priority import priority_kept

settings.register_profile("untimed", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def scheduling() -> Iterator[None]:
    """Recordings in AV1 must not leave the process that runs the tests with real-time priority."""
    with priority_kept():
        yield
