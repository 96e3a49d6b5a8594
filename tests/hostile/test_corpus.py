"""A seeded sample of the corpus; ``python -m tests.hostile`` examines thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.allocators import checking_allocators
from tests.hostile.examine import Examiner
from tests.hostile.mutations import mutant
from tests.hostile.originals import write_all

_SEED, _COUNT = 20_26, 48


@pytest.mark.timeout(1800)  # on a busy machine
def test_every_outcome_of_the_real_worker_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run under glibc's checking allocator: a corrupted heap ends them, which the last line would show."""
    for name, value in checking_allocators()["glibc"].items():
        monkeypatch.setenv(name, value)
    originals = {name: path.read_bytes() for name, path in write_all(tmp_path / "originals").items()}
    mutants = [mutant(originals, _SEED, number) for number in range(_COUNT)]
    findings = list(Examiner(tmp_path / "work", slots=2).run(mutants))
    assert len(findings) == _COUNT
    assert [finding for finding in findings if finding.trouble] == []
    codes = {finding.code for finding in findings}
    assert {"SUCCEEDED", "NOT_MEDIA", "TRUNCATED", "DECODE_FAILED"} <= codes
    assert "WORKER_DIED" not in codes


def test_a_mutant_is_the_same_each_time(tmp_path: Path) -> None:
    originals = {name: path.read_bytes() for name, path in write_all(tmp_path).items()}
    assert mutant(originals, 7, 11) == mutant(originals, 7, 11)
    assert mutant(originals, 7, 11).content != mutant(originals, 7, 12).content
