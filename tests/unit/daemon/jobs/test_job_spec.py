"""The order for a job's next attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.settings import Settings
from daemon.jobs.job_spec import work_order
from tests.support.share import LEASE, claimed, make_share


@pytest.mark.parametrize("split", ["auto", "always", "never"])
@pytest.mark.parametrize(
    ("failures", "interruptions", "alone"), [(0, 0, False), (1, 0, False), (2, 0, True), (0, 2, True)]
)
def test_a_job_that_runs_alone_is_not_split(
    tmp_path: Path, split: str, failures: int, interruptions: int, alone: bool
) -> None:
    job = claimed(make_share(tmp_path), "x.mp4")
    job.manifest.consecutive_failures, job.manifest.interruptions = failures, interruptions
    settings = Settings.model_validate({"cluster": {"split": split}})
    assert work_order(settings, job, LEASE).split == ("never" if alone else split)
