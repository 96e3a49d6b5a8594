"""The command `dualface`, also as `python -m daemon`."""

import sys

from daemon import spawn


def main() -> None:
    """For work on named files a worker starts first, and loads its libraries while this process loads its own."""
    if sys.argv[1:2] == ["process"]:
        spawn.start_ahead()
    from daemon.cli import main as command  # noqa: PLC0415 - the worker should not wait for this

    command()


if __name__ == "__main__":
    main()
