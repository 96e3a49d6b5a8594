"""A short soak; ``python -m tests.soak`` runs long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.soak import Sample, Soak


@pytest.mark.timeout(1800)  # on a busy machine; half a minute otherwise
def test_a_dozen_files_under_faults(tmp_path: Path) -> None:
    samples: list[Sample] = []
    soak = Soak(tmp_path, seed=5, jobs=12, hours=1, every_s=2, sample_s=1, stall_s=15, on_sample=samples.append)
    result = soak.run()
    assert result.faults == []
    assert sum(result.outcomes.values()) == 12
    assert result.disturbances
    assert max(sample.descriptors for sample in samples) < 60
