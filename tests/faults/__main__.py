"""The fault matrix: every fault at every step of a file's life, with the real service.

About a quarter of an hour on two idle cores with --jobs 4. Needs root (for mounts) and a C compiler.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from tests.faults import preload
from tests.faults.cells import NOT_STRUCK, Cell, all_cells
from tests.faults.setting import Reference, undisturbed, write_reference
from tests.faults.sweep import sweep
from tests.faults.table import document
from tests.faults.verdict import Verdict


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cells = [cell for cell in (sweep() if arguments.sweep else all_cells()) if cell.matches(arguments.cells)]
    if arguments.sample:
        cells = random.Random(arguments.seed).sample(cells, min(arguments.sample, len(cells)))
    if arguments.list:
        _say("\n".join(cell.name for cell in cells))
        return 0
    begun = time.monotonic()
    done = _read(arguments.results)
    results = {cell: done[cell.name] for cell in cells if cell.name in done}
    for cell, verdict in run([cell for cell in cells if cell not in results], arguments.jobs):
        results[cell] = verdict
        _keep(arguments.results, cell, verdict)
    results = {cell: results[cell] for cell in cells}
    took_s = time.monotonic() - begun
    if not arguments.sweep:  # which may go beyond the last call
        for verdict in results.values():
            verdict.wrongs += [NOT_STRUCK] if verdict.outcome == NOT_STRUCK else []
    if arguments.write:
        command = f"python -m tests.faults --jobs {arguments.jobs} --write {arguments.write}"
        arguments.write.parent.mkdir(exist_ok=True)
        arguments.write.write_text(document(results, command=command, took_s=took_s))
    return _sum_up(results, took_s)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=["*"], metavar="PATTERN", help="only cells whose names match")
    parser.add_argument("--sweep", action="store_true", help="every call on the share instead of the matrix's cells")
    parser.add_argument("--sample", type=int, metavar="N", help="only so many cells, chosen by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="cells that are carried out side by side")
    parser.add_argument("--list", action="store_true", help="name the cells and carry out none")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table into this file")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep results here; cells in it are not run again")
    return parser.parse_args()


def run(cells: list[Cell], jobs: int) -> Iterator[tuple[Cell, Verdict]]:
    """Carry out the cells, and tell about each when it is done."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name, ThreadPoolExecutor(jobs) as threads:
        folder = Path(name)
        reference = prepare(folder)

        def carry_out(number: int, cell: Cell) -> tuple[Cell, Verdict]:
            verdict = cell.run(folder / str(number), reference)
            said = "; ".join(verdict.wrongs) or verdict.outcome
            _say(f"[{number}/{len(cells)}] {verdict.seconds:5.1f} s  {cell.name}: {said}")
            return cell, verdict

        begun = [threads.submit(carry_out, number, cell) for number, cell in enumerate(cells, 1)]
        try:
            for done in as_completed(begun):
                yield done.result()
        finally:
            threads.shutdown(cancel_futures=True)  # asked to end: what runs is finished and cleared away


def prepare(folder: Path) -> Reference:
    """Build the shim and see what an undisturbed run delivers."""
    recording = write_reference(folder / "recording.mp4")
    return undisturbed(folder / "0", recording, preload.build(folder))


def _sum_up(results: dict[Cell, Verdict], took_s: float) -> int:
    wrong = [cell for cell, verdict in results.items() if verdict.wrongs]
    _say(f"{len(results)} cells in {took_s:.0f} s, {len(wrong)} wrong")
    for cell in wrong:
        _say(f"  {cell.name}: {'; '.join(results[cell].wrongs)}")
    return 1 if wrong else 0


def _read(path: Path | None) -> dict[str, Verdict]:
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line.pop("cell"): Verdict(**line) for line in lines}


def _keep(path: Path | None, cell: Cell, verdict: Verdict) -> None:
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps({"cell": cell.name, **asdict(verdict)}) + "\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
