"""`dualface status`: what the services of a share do, as a table for people and as JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.pages.i18n import Duration, clock
from daemon.pages.warnings_text import warnings_in
from daemon.share.naming import printable
from daemon.status.liveness import Survey
from daemon.status.model import FailedJob, FinishedJob, RunningJob, ServiceStatus, since
from engines.errors import ExplainedError

_LISTED = 5
_REFRESH_S = 1.0
_PIPED_WIDTH = 200
_LONG = ("file", "why", "verdict", "level")
_GO_ON = {
    "paused": "dualface resume",
    "draining": "dualface resume",
    "drained": "dualface resume",
    "low_space": "delete what is no longer needed, for example from originals",
}
_COLOURS = {
    "working": "green",
    "idle": "green",
    "paused": "yellow",
    "draining": "yellow",
    "drained": "yellow",
    "low_space": "red",
    "share_away": "red",
    "share_split": "red",
    "silent": "red",
    "stopped": "red",
}


def console() -> Console:
    """Standard output; wide enough for whole sentences where it is no terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=_PIPED_WIDTH)


def as_dict(survey: Survey) -> dict[str, Any]:
    """status.json of now, with what was found out about each service."""
    hosts = [
        {**asdict(s.seen.line()), "alive": s.seen.live, "age_s": round(s.age_s), "verdict": s.verdict}
        for s in survey.host_healths
    ]
    return {**asdict(survey.board), "alive": survey.alive, "hosts": hosts}


def watch(look: Callable[[], Survey]) -> None:
    """Show it until Ctrl-C. A share that goes away is said to be away, and looked for again."""
    with Live(console=console(), auto_refresh=False, screen=True) as live:
        try:
            while True:
                live.update(_seen(look), refresh=True)
                time.sleep(_REFRESH_S)
        except KeyboardInterrupt:
            return


def _seen(look: Callable[[], Survey]) -> RenderableType:
    try:
        return render(look())
    except ExplainedError as error:
        return Text(f"{error.message} {error.remedy}", style="red")


def render(survey: Survey) -> RenderableType:
    """Everything, the most urgent first."""
    board = survey.board
    return Group(*_head(survey), *_running(board, survey.alive), *_waiting(board), *_failed(board), *_finished(board))


def _head(survey: Survey) -> Iterator[RenderableType]:
    board = survey.board
    reason = f": {escape(board.reason)}" if board.reason else ""
    yield f"[{_COLOURS.get(board.state, 'bold')}]●[/] [bold]{_state(board.state)}[/]{since(board.since)}{reason}"
    if board.state in _GO_ON:
        yield f"  Go on with: [bold]{_GO_ON[board.state]}[/]"
    counts = [f"{len(board.running)} running", f"{board.queued + len(board.waiting)} waiting"]
    counts += [f"{board.settling} still arriving"] if board.settling else []
    counts += [f"{len(board.ignored)} left alone"] if board.ignored else []
    yield f"  {', '.join(counts)}, quality level {board.level}"
    for host_health in survey.host_healths:
        if host_health.verdict:
            yield f"  [red]{escape(host_health.verdict)}[/]"
        else:
            line = host_health.seen.line()
            yield f"  {escape(line.host)}: {_state(line.state)}, reported {round(host_health.age_s)} s ago"
    yield from (f"  [yellow]{escape(note)}[/]" for note in board.notes)


def _state(state: str) -> str:
    return "not reporting" if state == "silent" else state.replace("_", " ")


def _running(board: ServiceStatus, alive: bool) -> Iterator[RenderableType]:
    if not board.running:
        return
    yield Text("\nRunning" if alive else "\nWas running; it goes on where it was at the next start", style="bold")
    several = len(board.hosts) > 1
    table = _table("file", "bar", "percent", "stage", "speed", "left", "level", *(["host"] if several else []))
    for job in board.running:
        table.add_row(*_row(job), *([escape(job.host)] if several else []))
    yield table


def _row(job: RunningJob) -> tuple[RenderableType, ...]:
    percent = job.percent or 0.0
    return (
        escape(printable(job.file)),
        ProgressBar(total=100, completed=percent, width=12),
        f"{percent:.0f} %",
        _stage(job),
        f"{job.realtime:.1f}x realtime" if job.realtime else "",
        f"{clock(job.eta_s)} left" if job.eta_s is not None else "",
        _why(job),
    )


def _why(job: RunningJob) -> str:
    """What it waits for, or how far it is cut down, and why."""
    if job.since:
        return f"[yellow]waits{since(job.since)}: {escape(job.lacks or job.level_reason)}[/]"
    level = job.level + (f": {job.level_reason}" if job.level_reason else "")
    return f"[yellow]{escape(level)}[/]" if job.level != "normal" else level


def _stage(job: RunningJob) -> str:
    attempt = f", attempt {job.attempt}" if job.attempt > 1 else ""
    return job.stage + attempt + (f" on {job.device}" if job.device else "")


def _waiting(board: ServiceStatus) -> Iterator[RenderableType]:
    lines = [(job.file, f"{job.reason} {job.remedy}{since(job.since)}".strip()) for job in board.waiting]
    lines += [(file.file, f"profile {file.profile}") for file in board.queue]
    lines += [(file, "still arriving") for file in board.arriving]
    if lines:
        yield Text("\nWaiting", style="bold")
        table = _table("file", "why")
        for file, why in lines[:_LISTED]:
            table.add_row(escape(printable(file)), escape(why))
        yield table
        yield from _more(len(lines), "status.json in outbox lists more")


def _failed(board: ServiceStatus) -> Iterator[RenderableType]:
    if board.failed:
        yield Text("\nFailed lately", style="bold")
        yield from (_failure(job) for job in board.failed[:_LISTED])
        yield from _more(len(board.failed), "they lie in failed, each with its report")
        yield "  [dim]Try one again with: dualface retry NAME[/]"


def _failure(job: FailedJob) -> RenderableType:
    said = f"{job.message} {job.remedy}" if job.remedy else job.message
    return f"  [red]{escape(printable(job.file))}[/] {_ago(job.at)} ({job.code}): {escape(said)}"


def _finished(board: ServiceStatus) -> Iterator[RenderableType]:
    if board.finished:
        yield Text("\nDone lately", style="bold")
        table = _table("file", "when", "verdict")
        for job in board.finished[:_LISTED]:
            table.add_row(escape(printable(job.output)), _ago(job.at), _verdict(job))
        yield table


def _verdict(job: FinishedJob) -> str:
    warnings = [escape(printable(warned["message"])) for warned in warnings_in(job.facts)]
    but = [f"[yellow]{words}[/]" for words in warnings[:_LISTED]]
    but += [f"[yellow]and {len(warnings) - _LISTED} more; the report names them[/]"] if len(warnings) > _LISTED else []
    return "\n".join([escape(job.verdict), *but])


def _table(*columns: str) -> Table:
    """Plain columns; names and sentences may take several lines, numbers and bars may not."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in _LONG)
    return table


def _more(count: int, where: str) -> Iterator[RenderableType]:
    if count > _LISTED:
        yield f"  [dim]and {count - _LISTED} more; {where}[/]"


def _ago(at: str) -> str:
    try:
        age_s = (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()
    except ValueError:
        return at
    return f"{Duration(max(0.0, age_s)).text('en')} ago"
