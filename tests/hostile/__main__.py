"""Thousands of spoiled recordings through the real worker: ``python -m tests.hostile --count 3000 --seed 1``.

Prints how often each outcome came, and every file whose outcome is not explained; those files are kept. Exit code 1
where there was one. ``--only N`` makes and examines a single mutant again. With ``--allocator glibc`` a worker that
corrupts its heap is ended. ``python -m tests.hostile.layouts`` spoils the boxes that name channels.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import structlog

from tests.hostile.allocators import begin_again_checked
from tests.hostile.examine import Examiner, Finding, to_json
from tests.hostile.mutations import Mutant, mutant
from tests.hostile.originals import write_all

_TELL_EVERY = 50


def main() -> int:
    options = _options()
    if options.allocator:
        begin_again_checked(options.allocator)
    folder: Path = options.folder / f"seed-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "workers.log").open("a") as log:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        originals = {name: path.read_bytes() for name, path in write_all(folder / "originals").items()}
        findings = _examine(options, folder, originals)
    troubles = [finding for finding in findings if finding.trouble]
    _print_summary(findings)
    for finding in troubles:
        print(f"{finding.trouble}: {finding.name} ({finding.recipe}): {finding.code} {finding.message}")
    return 1 if troubles else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="how many mutants")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--only", type=int, help="number of a single mutant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1, help="workers side by side")
    parser.add_argument("--allocator", choices=["glibc"], help="a checking allocator for all processes")
    parser.add_argument("--folder", type=Path, default=Path("hostile"), help="where files and findings are kept")
    return parser.parse_args()


def _numbers(options: argparse.Namespace) -> range:
    if options.only is not None:
        return range(options.only, options.only + 1)
    return range(options.first, options.first + options.count)


def _mutants(options: argparse.Namespace, originals: dict[str, bytes]) -> Iterator[Mutant]:
    return (mutant(originals, options.seed, number) for number in _numbers(options))


def _examine(options: argparse.Namespace, folder: Path, originals: dict[str, bytes]) -> list[Finding]:
    findings: list[Finding] = []
    begun = time.monotonic()
    total = len(_numbers(options))
    with (folder / "findings.jsonl").open("a", encoding="utf-8") as record:
        for finding in Examiner(folder, slots=options.slots).run(_mutants(options, originals)):
            findings.append(finding)
            print(to_json(finding), file=record, flush=True)
            if finding.trouble or len(findings) % _TELL_EVERY == 0 or len(findings) == total:
                pace = (time.monotonic() - begun) / len(findings)
                trouble = f"  {finding.trouble}: {finding.name}" if finding.trouble else ""
                print(f"{len(findings)} of {total}, {pace:.2f} s each{trouble}", file=sys.stderr, flush=True)
    return findings


def _print_summary(findings: list[Finding]) -> None:
    for code, times in Counter(finding.code for finding in findings).most_common():
        longest = max(finding.wall_s for finding in findings if finding.code == code)
        memory = max(finding.peak_bytes for finding in findings if finding.code == code) / 2**20
        print(f"{times:6d}  {code:20s} longest {longest:6.1f} s, largest {memory:6.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
