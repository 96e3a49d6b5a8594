"""`dualface demo`: the real service processes a sample recording on a share of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

import daemon
from daemon.config.sources import ENV_PREFIX
from daemon.errors import DaemonError
from daemon.layout import FAILED_DIR, INBOX_DIR, ORIGINALS_DIR, OUTBOX_DIR, STATUS_HTML
from daemon.share.naming import output_names
from daemon.status.model import read_status

_POLL_S = 0.3
_STOP_S = 90.0
_DELIVERY_TIMEOUT_S = 1800.0
_LOG_LINES = 12


class DemoError(DaemonError):
    code = "DEMO_FAILED"
    remedy = "The reason is above; service.log in the folder of the demonstration has the whole log."


class Demo:
    """One run of the demonstration.

    Args:
        folder: becomes the root of a share, and is created if missing; it may hold earlier runs.
    """

    def __init__(self, folder: Path) -> None:
        self._given = folder
        self._root = folder.absolute()
        self._log = self._root / "service.log"
        self._console = Console()

    def run(self) -> Path:
        """Run it; return the path of the finished video.

        Raises:
            DemoError: the sample could not be made, or the service did not deliver it.
        """
        try:
            (self._root / INBOX_DIR).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DemoError(f"{self._given} cannot be used: {error.strerror}", remedy="Name another folder.") from error
        with self._progress() as progress, self._service() as service:
            name = self._drop_sample(progress)
            finished = self._wait_for(name, service, progress)
        return self._show(finished)

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self._console)

    @contextmanager
    def _service(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the service like `dualface run`; stop it like systemd."""
        config = self._root / "config.yaml"
        config.write_text(yaml.safe_dump(_settings(self._root)), encoding="utf-8")
        with self._log.open("ab") as log:
            service = _start("daemon", "run", "--config", str(config), cwd=self._root, output=log)
            try:
                yield service
            finally:
                service.send_signal(signal.SIGTERM)
                try:
                    service.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    service.kill()
                    service.wait()

    def _drop_sample(self, progress: Progress) -> str:
        task = progress.add_task("Making a recording of two people", total=None)
        name = self._free_name()
        part = self._root / INBOX_DIR / f".{name}.part"
        with self._log.open("ab") as log:
            maker = _start("pipeline.sample", str(part), cwd=self._root, output=log)
            try:
                failed = maker.wait() != 0
            finally:
                maker.kill()
        if failed:
            self._show_log()
            raise DemoError("The sample could not be made.")
        part.rename(part.with_name(name))
        progress.update(task, total=1, completed=1, description=f"Dropped {self._given / INBOX_DIR / name}")
        return name

    def _free_name(self) -> str:
        folders = (INBOX_DIR, ORIGINALS_DIR, FAILED_DIR)
        names = ("interview.mp4" if number == 1 else f"interview-{number}.mp4" for number in count(1))
        return next(
            name
            for name in names
            if not any((self._root / folder / name).exists() for folder in folders)
            and not (self._root / OUTBOX_DIR / output_names(name, 1)["video"]).exists()
        )

    def _wait_for(self, name: str, service: subprocess.Popen[bytes], progress: Progress) -> dict[str, Any]:
        """Follow the status page until the file is delivered."""
        task = progress.add_task("The service examines it", total=100.0)
        begin = time.monotonic()
        while time.monotonic() - begin < _DELIVERY_TIMEOUT_S:
            if service.poll() is not None:
                self._show_log()
                raise DemoError(f"The service ended by itself with exit code {service.returncode}.")
            status = read_status(self._root) or {}
            if finished := _entry(status, "finished", name):
                progress.update(task, completed=100.0, description="Delivered")
                return finished
            if failed := _entry(status, "failed", name):
                raise DemoError(f"The service failed: {failed['message']}", remedy=failed["remedy"])
            if running := _entry(status, "running", name):
                stage = f"The service works ({running['stage']})"
                progress.update(task, completed=running["percent"], description=stage)
            time.sleep(_POLL_S)
        raise DemoError(f"Nothing was delivered within {_DELIVERY_TIMEOUT_S / 60:.0f} minutes.")

    def _show(self, finished: dict[str, Any]) -> Path:
        output = self._root / str(finished["output"])
        preview = output.with_name(output.name.removesuffix(".mp4") + ".preview.jpg")
        lines = (
            "",
            f"Output:   {output}",
            f"Verdict:  {finished['verdict']}",
            f"View:     open the output in any player, for example: ffplay '{output}'",
            f"          {preview.name} beside it shows twelve frames of it",
            f"          {self._root / OUTBOX_DIR / STATUS_HTML} is the status page that editors see",
        )
        for line in lines:
            self._console.print(line, soft_wrap=True, markup=False, highlight=False)
        return output

    def _show_log(self) -> None:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        self._console.print("\n".join(lines), soft_wrap=True, markup=False, highlight=False)


def _settings(root: Path) -> dict[str, Any]:
    """Return the configuration; the sample arrives by rename, so that the quiet time can be short."""
    return {
        "share": {"root": str(root), "low_bytes": 2**28, "resume_bytes": 2**28},
        "settle": {"local_s": 1, "nfs_s": 1, "smb_s": 1, "polls": 2},
        "scan": {"min_interval_s": 0.5, "max_interval_s": 1},
        "status": {"interval_s": 0.3},
        "log": {"format": "json"},
    }


def _start(module: str, *arguments: str, cwd: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a module of this installation, without environment variables that would configure it.

    It gets its own process group. So Ctrl-C reaches the demonstration only, which then stops the service in order.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((ENV_PREFIX, "NOTIFY_SOCKET", "WATCHDOG_"))
    }
    here = str(Path(daemon.__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (here, environment.get("PYTHONPATH", ""))))
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
    )


def _entry(status: dict[str, Any], state: str, name: str) -> dict[str, Any] | None:
    wanted = f"{INBOX_DIR}/{name}"
    return next((entry for entry in status.get(state, ()) if entry["file"] in (name, wanted)), None)
