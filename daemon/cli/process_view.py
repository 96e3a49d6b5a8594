"""What the commands show on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from daemon import logs
from daemon.cli import batch as processing
from daemon.cli.batch import Batch, InterruptedJobError, Item
from daemon.cli.dry_run import Claim, Forecast
from daemon.config.render import Row
from daemon.config.settings import Settings
from daemon.inbox import ignored_names as ignored
from daemon.jobs.job_spec import job_slots
from daemon.pages.i18n import clock, size
from daemon.share.naming import printable
from daemon.worker.spawn import WorkerProcess
from pipeline import job

_LEVEL_WORDS = {"downscale": "softer frames", "frame_skip": "fewer and softer frames"}
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
    """Work on files under a progress bar for each; returns how many failed."""
    console = Console(stderr=True)
    with _progress(console) as progress:
        logs.configure(settings.log)
        items = processing.prepare(files, output, settings, profile, debug_overlay=debug_overlay)
        bars = Bars(progress, items)
        try:
            said = partial(console.print, _STOPPING)
            Batch(settings, output, items, job_slots(settings), bars.update, said, spare).run()
        except KeyboardInterrupt:
            console.print("Ended at once. The same command goes on from the last segments that were finished.")
            return len(items)
    processing.clean_up(output)
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
    """One bar for each file."""

    def __init__(self, progress: Progress, items: Iterable[Item]) -> None:
        self._progress = progress
        self._told: set[int] = set()  # that they wait for space
        self._tasks: dict[int, TaskID] = {
            id(item): progress.add_task(escape(printable(item.source.name)), total=100.0, speed="waits")
            for item in items
        }

    def update(self, item: Item) -> None:
        self._tell_of_waiting(item)
        task = self._tasks[id(item)]
        if item.error is not None:  # the bar stays where the work did
            self._progress.update(task, speed="stopped" if isinstance(item.error, InterruptedJobError) else "failed")
        elif item.ended:
            self._progress.update(task, completed=100.0, speed="done")
        elif item.progress is not None:
            self._progress.update(task, completed=item.progress.percent or 0.0, speed=speed(item.progress))

    def _tell_of_waiting(self, item: Item) -> None:
        """Also where no bars are shown: what it waits for, and how long."""
        lacks = item.progress.lacks if item.progress and not item.ended else ""
        if lacks and id(item) not in self._told:
            self._progress.console.print(
                f"{printable(item.source.name)} waits for space where the results go, at most"
                f" {item.spec.degradation.disk_wait_s:g} s (degradation.disk_wait_s): {lacks}",
                markup=False,
                soft_wrap=True,
            )
        (self._told.add if lacks else self._told.discard)(id(item))


def speed(progress: job.Progress) -> str:
    """Frames a second, how many times faster than the recording plays, the time left, and what is cut down."""
    if progress.lacks:
        return f"waits for space: {progress.lacks}"
    if progress.stage == "wait":
        return f"paused: {progress.level_reason or 'the device rests'}"
    words = [f"{progress.fps:.0f} fps", f"{progress.realtime:.1f}x realtime"] if progress.realtime else [progress.stage]
    if progress.realtime and progress.left_s is not None:
        words.append(f"{clock(progress.left_s)} left")
    if progress.level != "normal":
        words.append(_LEVEL_WORDS.get(progress.level, progress.level))
    return ", ".join(words)


def _outcome(item: Item) -> str:
    name = f"[bold]{escape(printable(item.source.name))}[/]"
    if item.error is None:
        done = f"[green]done[/]   {name}: {escape(printable(item.video or ''))}\n       {escape(item.verdict)}"
        return done + "".join(f"\n       [yellow]but: {escape(warned['message'])}[/]" for warned in item.warnings)
    if isinstance(item.error, InterruptedJobError):
        return f"[yellow]stopped[/] {name}: {escape(f'{item.error.message} {item.error.remedy}')}"
    report = f"\n       report: {escape(printable(item.report))}" if item.report else ""
    return f"[red]failed[/] {name}: {escape(f'{item.error.message} {item.error.remedy}')}{report}"


def foresee_process(items: list[Item], output: Path) -> int:
    """Say what `process` would do; returns how many files would fail at once."""
    console = Console(soft_wrap=True, highlight=False)
    for item, video in processing.foreseen(items, output):
        begun = item.spec.paths.checkpoint.exists()
        how = f"profile {item.spec.profile_name}{', goes on where it was' if begun else ''}"
        console.print(f"{printable(item.source)} -> {printable(video)} ({how})", markup=False)
    failing = [(item.source, item.error) for item in items if item.error]
    for source, error in failing:
        console.print(f"{printable(source)} would fail: {error.message} {error.remedy}", markup=False)
    console.print("Nothing was changed; what the files hold was not looked at.", style="dim")
    return len(failing)


def foresee_run(forecast: Forecast) -> None:
    """Say what the service would do."""
    console = Console(soft_wrap=True, highlight=False)
    if forecast.stops:
        console.print(f"Nothing would be started: {forecast.stops}", markup=False, style="yellow")
    _list(console, "Goes on first", forecast.held)
    claims = [(f"{number}. {claim.file}", _how(claim)) for number, claim in enumerate(forecast.claims, start=1)]
    _list(console, f"Would be taken, after {forecast.quiet_s:g} s without change, in this order", claims)
    _list(console, "Not yet", forecast.not_yet)
    _list(console, "Left alone", forecast.left_alone)
    if not (forecast.held or claims or forecast.not_yet):
        console.print("There is nothing to do.")
    console.print("Nothing was changed. What the machine can do is told by: dualface doctor", style="dim")


def _how(claim: Claim) -> str:
    parts = f", {claim.parts} parts" if claim.parts > 1 else ""
    return f"profile {claim.profile}, {size(claim.bytes)}{parts}{', with a sidecar' if claim.has_sidecar else ''}"


def _list(console: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        console.print(f"{title}:", style="bold", markup=False)
    for name, words in rows:
        console.print(f"  {printable(name)}: {words}", markup=False)


def show_settings(rows: Sequence[Row], *, origin: bool) -> None:
    """A table on a terminal; one tab-separated line for each key elsewhere."""
    heads = ["key", "value", "unit", *(["origin"] if origin else []), "description"]
    _show_table(heads, [(_cells(row, origin), "" if row.origin == "default" else "bold") for row in rows])


def show_ignored() -> None:
    """The names that are left alone, in the same way."""
    rows = [[printable(row.name), row.kind, row.only, row.by, row.source] for row in ignored.table()]
    _show_table(["name", "kind", "only", "made by", "documented in"], [(row, "") for row in rows])


def _show_table(heads: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> None:
    """Rows with their style."""
    console = Console()
    if not console.is_terminal:
        for cells, _ in rows:
            print("\t".join(cells))  # noqa: T201
        return
    table = Table(*heads, box=None, pad_edge=False)
    for cells, style in rows:
        table.add_row(*map(escape, cells), style=style)
    console.print(table)


def _cells(row: Row, origin: bool) -> list[str]:
    value = ", ".join(map(str, row.value)) if isinstance(row.value, list) else str(row.value)
    origins = "; hides ".join([row.origin, *row.hidden])
    return [row.key, value, row.unit, *([origins] if origin else []), row.description]
