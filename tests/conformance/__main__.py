"""The whole table from real runs: ``python -m tests.conformance`` writes docs/media.md.

The exit code is 1 where a row is wrong.

``--only NAME ...`` judges these rows alone, keeps their files and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.conformance.document import PATH, document
from tests.conformance.row import Verdict
from tests.conformance.sweep import sweep
from tests.conformance.table import ROWS


def main() -> int:
    options = _options()
    known = [row.name for row in ROWS]
    names = [name for name in known if any(name.startswith(only) for only in options.only)] if options.only else known
    if not names:
        print(f"There is no such row; there are: {', '.join(known)}")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        verdicts = [_told(verdict) for verdict in sweep(names, folder, options.slots)]
    if not options.only:
        PATH.write_text(document(verdicts))
    wrong = sum(bool(verdict.troubles) for verdict in verdicts)
    print(f"{len(verdicts)} rows, {wrong} wrong")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="rows, or how their names begin")
    parser.add_argument("--folder", type=Path, help="where recordings and results are kept; else they are removed")
    parser.add_argument("--slots", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="rows side by side")
    return parser.parse_args()


def _told(verdict: Verdict) -> Verdict:
    print("\n      ".join([f"{'wrong' if verdict.troubles else 'right'} {verdict.row}", *verdict.troubles]), flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main())
