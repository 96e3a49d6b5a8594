"""Libraries that change the scheduling of their caller."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.priority import priority_kept
from tests.hostile.originals import ORIGINALS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets real-time priority")
def test_scheduling_is_given_back(tmp_path: Path) -> None:
    (av1,) = (original for original in ORIGINALS if original.codec == "libsvtav1")
    before = os.sched_getscheduler(0)
    with priority_kept():
        av1.write(tmp_path)
    assert os.sched_getscheduler(0) == before == os.SCHED_OTHER
