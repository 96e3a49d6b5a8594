"""The command `dualface`, also as `python -m daemon`."""

import gc
import sys

from daemon.gc_pause import loading
from daemon.worker import spawn


def main() -> None:
    """For work on named files a worker starts first, and loads its libraries while this process loads its own."""
    if sys.argv[1:2] == ["process"]:
        spawn.start_ahead()
    with loading():
        from daemon.cli.app import main as command  # noqa: PLC0415 - the worker should not wait for this
    try:
        command()
    finally:
        gc.freeze()  # nothing is worth collecting any more, and that would take longer than all other ways to end


if __name__ == "__main__":
    main()
