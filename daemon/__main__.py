"""The command `dualface`, also as `python -m daemon`."""

import gc
import sys

from daemon.gc_pause import gc_paused
from daemon.worker import spawn


def main() -> None:
    """Run the command. For `process`, a worker starts first, to load its libraries while this process loads its own."""
    if sys.argv[1:2] == ["process"]:
        spawn.start_ahead()
    with gc_paused():
        from daemon.cli.app import main as command  # noqa: PLC0415 - after the worker has started
    try:
        command()
    finally:
        gc.freeze()  # a last collection would make the process end later


if __name__ == "__main__":
    main()
