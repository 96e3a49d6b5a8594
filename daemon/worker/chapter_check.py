"""Checks whether one recording continues in another file: in a worker of the service, or for ``dualface process``.

As a program: ``python -m daemon.worker.chapter_check FIRST SECOND CERTAIN_NAMES LIMITS``, the last two as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from daemon.config.settings import WorkerLimits
from daemon.worker import sandbox
from daemon.worker.protocol import CompareFiles, FilesCompared
from daemon.worker.subprocess_call import AnsweredError, ChildFailedError, ask
from engines.json_answer import answer

TIMEOUT_S = 120.0


def compare(order: CompareFiles) -> FilesCompared:
    """Set the limits and compare the two files.

    Raises:
        OSError: the storage failed.
    """
    from engines.media.chapters import follows  # noqa: PLC0415 - the service itself must never load codecs
    from pipeline.durable import storage_errors  # noqa: PLC0415 - with the above

    sandbox.limit(order.limits, "cpu")
    with storage_errors("comparing two files"):
        return FilesCompared(follows(order.first, order.second, certain_names=order.certain_names))


def compare_in_subprocess(order: CompareFiles) -> bool:
    """Compare in a process of its own. Files that make it crash do not follow each other."""
    arguments = [str(order.first), str(order.second), json.dumps(order.certain_names), order.limits.model_dump_json()]
    try:
        return bool(ask("daemon.worker.chapter_check", arguments, timeout_s=TIMEOUT_S))
    except (AnsweredError, ChildFailedError):
        return False


def main() -> None:
    first, second, certain_names, limits = sys.argv[1:]
    sandbox.leave_network()
    settings = WorkerLimits.model_validate_json(limits)
    order = CompareFiles(Path(first), Path(second), json.loads(certain_names), settings)
    answer(lambda: compare(order).follows)


if __name__ == "__main__":
    main()
