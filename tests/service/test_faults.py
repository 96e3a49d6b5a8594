"""A sample of the fault matrix; ``python -m tests.faults`` runs all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.faults import preload
from tests.faults.__main__ import prepare
from tests.faults.cells import NOT_STRUCK, Cell, all_cells
from tests.faults.verdict import Verdict

_SEED = 5
_CELLS = list(all_cells())
_WHOLE, _SPLIT = ([cell for cell in _CELLS if bool(cell.step.sections) is split] for split in (False, True))
SAMPLE = random.Random(_SEED).sample(_WHOLE, 6) + random.Random(_SEED + 1).sample(_SPLIT, 3)

needs_compiler = pytest.mark.skipif(preload.compiler() is None, reason="no C compiler builds the shim")
needs_root = pytest.mark.skipif(not preload.is_root(), reason="only root can mount a share that goes away")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Verdict]]]:
    """All cells of the sample, two at a time: they wait more than they work."""
    folder = tmp_path_factory.mktemp("faults")
    reference = prepare(folder)
    with ThreadPoolExecutor(2) as threads:
        yield {
            cell.name: threads.submit(cell.run, folder / str(number), reference)
            for number, cell in enumerate(SAMPLE, 1)
        }


@needs_compiler
@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("cell", SAMPLE, ids=lambda cell: cell.name)
def test_nothing_is_lost_and_nothing_comes_twice(cell: Cell, verdicts: dict[str, Future[Verdict]]) -> None:
    verdict = verdicts[cell.name].result()
    assert verdict.wrongs == []
    assert verdict.outcome != NOT_STRUCK
