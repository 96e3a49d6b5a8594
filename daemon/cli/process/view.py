"""Output of ``dualface process``: progress bars, outcomes, and the plan of a dry run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from daemon import logs
from daemon.cli.process import batch
from daemon.cli.process.batch import Batch
from daemon.cli.process.items import Item, planned_outputs
from daemon.cli.process.results import InterruptedJobError
from daemon.config.settings import Settings
from daemon.executor.places import job_slots
from daemon.pages.i18n import clock
from daemon.remedies import explained
from daemon.share.naming import printable
from daemon.worker.spawn import WorkerProcess
from pipeline import job
from pipeline.degradation.level_ladder import Level

_LEVEL_WORDS = {Level.DOWNSCALE.value: "softer frames", Level.FRAME_SKIP.value: "fewer and softer frames"}
_STOPPING = "Stopping: running files finish their segment, which may take some seconds. Ctrl-C again ends at once."


def process(
    files: list[Path],
    output: Path,
    settings: Settings,
    profile: str,
    *,
    debug_overlay: bool,
    spare: WorkerProcess | None,
) -> int:
    """Process files, with a progress bar for each; return the number of failures.

    Args:
        spare: a worker process that was started ahead.
    """
    console = Console(stderr=True)
    with _progress(console) as progress:
        logs.configure(settings.log)
        items = batch.prepare(files, output, settings, profile, debug_overlay=debug_overlay)
        bars = Bars(progress, items)
        try:
            on_stop = partial(console.print, _STOPPING)
            Batch(settings, output, items, job_slots(settings), bars.update, on_stop, spare).run()
        except KeyboardInterrupt:
            console.print("Ended at once. The same command continues from the last finished segments.")
            return len(items)
    batch.clean_up(output)
    for item in items:
        console.print(_outcome(item), soft_wrap=True)
    return sum(item.error is not None for item in items)


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


class Bars:
    """The progress bars, one for each file."""

    def __init__(self, progress: Progress, items: Iterable[Item]) -> None:
        self._progress = progress
        self._announced: set[int] = set()  # files whose wait for space was printed
        self._tasks: dict[int, TaskID] = {
            id(item): progress.add_task(escape(printable(item.source.name)), total=100.0, speed="waits")
            for item in items
        }

    def update(self, item: Item) -> None:
        """Show the present state of a file."""
        self._announce_wait(item)
        task = self._tasks[id(item)]
        if item.error is not None:  # the bar stays where the work did
            self._progress.update(task, speed="stopped" if isinstance(item.error, InterruptedJobError) else "failed")
        elif item.ended:
            self._progress.update(task, completed=100.0, speed="done")
        elif item.progress is not None:
            self._progress.update(task, completed=item.progress.percent or 0.0, speed=speed(item.progress))

    def _announce_wait(self, item: Item) -> None:
        """Print once that a file waits for space; also without a terminal, where there are no bars."""
        lacks = item.progress.lacks if item.progress and not item.ended else ""
        if lacks and id(item) not in self._announced:
            self._progress.console.print(
                f"{printable(item.source.name)} waits for space where the results go, at most"
                f" {item.spec.degradation.disk_wait_s:g} s (degradation.disk_wait_s): {lacks}",
                markup=False,
                soft_wrap=True,
            )
        (self._announced.add if lacks else self._announced.discard)(id(item))


def speed(progress: job.Progress) -> str:
    """Return speed, time left and degradation of a job in words."""
    if progress.lacks:
        return f"waits for space: {progress.lacks}"
    if progress.stage == "wait":
        return f"paused: {progress.level_reason or 'the device has a break'}"
    words = [f"{progress.fps:.0f} fps", f"{progress.realtime:.1f}x realtime"] if progress.realtime else [progress.stage]
    if progress.realtime and progress.left_s is not None:
        words.append(f"{clock(progress.left_s)} left")
    if progress.level != Level.NORMAL:
        words.append(_LEVEL_WORDS.get(progress.level, progress.level))
    return ", ".join(words)


def _outcome(item: Item) -> str:
    name = f"[bold]{escape(printable(item.source.name))}[/]"
    if item.error is None:
        done = f"[green]done[/]   {name}: {escape(printable(item.video or ''))}\n       {escape(item.verdict)}"
        return done + "".join(f"\n       [yellow]but: {escape(warned['message'])}[/]" for warned in item.warnings)
    if isinstance(item.error, InterruptedJobError):
        return f"[yellow]stopped[/] {name}: {escape(explained(item.error))}"
    report = f"\n       report: {escape(printable(item.report))}" if item.report else ""
    return f"[red]failed[/] {name}: {escape(explained(item.error))}{report}"


def show_plan(items: list[Item], output: Path) -> int:
    """Print what `process` would do; return the number of files that would fail at once."""
    console = Console(soft_wrap=True, highlight=False)
    for item, video in planned_outputs(items, output):
        begun = item.spec.paths.checkpoint.exists()
        how = f"profile {item.spec.profile_name}{', continues where it stopped' if begun else ''}"
        console.print(f"{printable(item.source)} -> {printable(video)} ({how})", markup=False)
    failing = [(item.source, item.error) for item in items if item.error]
    for source, error in failing:
        console.print(f"{printable(source)} would fail: {explained(error)}", markup=False)
    console.print("Nothing was changed; the content of the files was not examined.", style="dim")
    return len(failing)
