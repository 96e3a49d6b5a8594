"""The real service under files and faults for a long time: ``python -m tests.soak --jobs 500`` or ``--hours 8``.

Prints a line every so often, and at the end what became of the files, what was done to the service, and everything
that was lost, doubled or left behind; exit code 1 where there is anything. samples.csv and result.json keep the
figures. As root it works on a small disk of its own, which it fills and takes away now and then.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from tests.soak.soak import Result, Sample, Soak

_COLUMNS = tuple(field.name for field in fields(Sample))


def main() -> int:
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(" ".join(f"{name:>15}" for name in _COLUMNS))
    with (folder / "samples.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)

        def tell(sample: Sample) -> None:
            table.writerow(asdict(sample).values())
            file.flush()
            print(" ".join(f"{value:>15}" for value in asdict(sample).values()), flush=True)

        result = Soak(
            folder / time.strftime("%Y%m%d-%H%M%S"),
            seed=options.seed,
            jobs=options.jobs or sys.maxsize,
            hours=options.hours or 1e6,
            every_s=options.every,
            sample_s=options.sample,
            slots=options.slots,
            on_sample=tell,
        ).run()
    (folder / "result.json").write_text(json.dumps(asdict(result), indent=1))
    _print_summary(result, folder)
    return 1 if result.faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, help="how many files are dropped")
    parser.add_argument("--hours", type=float, help="for how long files are dropped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=12, help="mean seconds between two disturbances")
    parser.add_argument("--sample", type=float, default=10, help="seconds between two lines")
    parser.add_argument("--slots", type=int, default=1, help="jobs side by side")
    parser.add_argument("--folder", type=Path, help="where everything is kept; a temporary one otherwise")
    options = parser.parse_args()
    if not options.jobs and not options.hours:
        parser.error("say --jobs or --hours")
    return options


def _print_summary(result: Result, folder: Path) -> None:
    print("\noutcomes:     " + _counted(result.outcomes))
    print("disturbances: " + _counted(result.disturbances))
    for name in ("memory_mib", "descriptors", "threads", "worker_mib", "temporary_files"):
        print(f"{name:15s} {_trend(result.samples, name)}")
    print(f"everything is in {folder}")
    for fault in result.faults:
        print(f"FAULT {fault}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counts.items(), key=lambda item: -item[1]))


def _trend(samples: Sequence[Sample], name: str) -> str:
    """Median of the first and of the last quarter, and the largest value."""
    values = [getattr(sample, name) for sample in samples]
    quarter = max(1, len(values) // 4)
    first, last = sorted(values[:quarter]), sorted(values[-quarter:])
    return f"first quarter {first[len(first) // 2]}, last quarter {last[len(last) // 2]}, most {max(values)}"


if __name__ == "__main__":
    sys.exit(main())
