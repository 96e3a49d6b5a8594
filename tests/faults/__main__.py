"""The fault matrix: ``python -m tests.faults [--cells PATTERN] [--write docs/fault-matrix.md]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import preload
from tests.faults.cells import Cell, all_cells
from tests.faults.setting import Reference, undisturbed, write_reference
from tests.faults.verdict import Verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=["*"], metavar="PATTERN", help="only cells whose name matches")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table into this file")
    parser.add_argument("--jobs", type=int, default=1, help="cells that are carried out side by side")
    parser.add_argument("--list", action="store_true", help="name the cells and carry out none")
    arguments = parser.parse_args()
    cells = [cell for cell in all_cells() if cell.matches(arguments.cells)]
    if arguments.list:
        _say("\n".join(cell.name for cell in cells))
        return 0
    begun = time.monotonic()
    verdicts = dict(run(cells, arguments.jobs))
    took_s = time.monotonic() - begun
    wrong = [cell for cell, verdict in verdicts.items() if verdict.wrongs]
    _say(f"{len(cells)} cells in {took_s:.0f} s, {len(wrong)} wrong")
    for cell in wrong:
        _say(f"  {cell.name}: {'; '.join(verdicts[cell].wrongs)}")
    return 1 if wrong else 0


def run(cells: list[Cell], jobs: int) -> Iterator[tuple[Cell, Verdict]]:
    """Carry out the cells, and tell about each when it is done."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name, ThreadPoolExecutor(jobs) as threads:
        folder = Path(name)
        reference = prepare(folder)

        def carry_out(numbered: tuple[int, Cell]) -> tuple[Cell, Verdict]:
            number, cell = numbered
            verdict = cell.run(folder / str(number), reference)
            said = "; ".join(verdict.wrongs) or verdict.outcome
            _say(f"[{number}/{len(cells)}] {verdict.seconds:5.1f} s  {cell.name}: {said}")
            return cell, verdict

        yield from threads.map(carry_out, enumerate(cells, 1))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def prepare(folder: Path) -> Reference:
    """Build the shim and see what an undisturbed run delivers."""
    recording = write_reference(folder / "recording.mp4")
    return undisturbed(folder / "0", recording, preload.build(folder))


if __name__ == "__main__":
    sys.exit(main())
