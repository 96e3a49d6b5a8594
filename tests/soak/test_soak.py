"""A short soak; ``python -m tests.soak`` runs long ones."""

from __future__ import annotations

from pathlib import Path

from tests.soak.soak import Soak


def test_a_dozen_files_under_faults(tmp_path: Path) -> None:
    samples = []
    soak = Soak(tmp_path, seed=5, jobs=12, hours=1, every_s=1.5, sample_s=1, stall_s=5, on_sample=samples.append)
    result = soak.run()
    assert result.faults == []
    assert sum(result.outcomes.values()) == 12
    assert result.outcomes["succeeded"] >= 6
    assert sum(result.disturbances.values()) >= 2
    assert max(sample.descriptors for sample in samples) < 60
