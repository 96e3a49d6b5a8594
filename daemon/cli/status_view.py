"""`dualface status`: the status of all services of a share, as tables for people and as JSON for programs."""

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
from daemon.remedies import explained
from daemon.share.naming import printable
from daemon.status.liveness import Survey
from daemon.status.model import SILENT, FailedJob, FinishedJob, NodeLine, RunningJob, ServiceState, ServiceStatus, since
from engines.errors import ExplainedError
from pipeline.degradation.level_ladder import Level

_LISTED = 5
_REFRESH_S = 1.0
_PIPED_WIDTH = 200
_LONG = ("file", "why", "verdict", "level")
_REMEDIES = {
    ServiceState.PAUSED: "dualface resume",
    ServiceState.DRAINING: "dualface resume",
    ServiceState.DRAINED: "dualface resume",
    ServiceState.LOW_SPACE: "delete what is no longer needed, for example from originals",
}
_COLOURS = {
    ServiceState.WORKING: "green",
    ServiceState.IDLE: "green",
    ServiceState.PAUSED: "yellow",
    ServiceState.DRAINING: "yellow",
    ServiceState.DRAINED: "yellow",
    ServiceState.LOW_SPACE: "red",
    ServiceState.SHARE_AWAY: "red",
    ServiceState.SHARE_SPLIT: "red",
    ServiceState.STOPPED: "red",
    SILENT: "red",
}


def console() -> Console:
    """Return a console on standard output; wide enough for whole sentences if it is not a terminal."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=_PIPED_WIDTH)


def as_dict(survey: Survey) -> dict[str, Any]:
    """Return the merged status as in status.json, with the health of each service."""
    hosts = [
        {**asdict(h.report.line()), "alive": h.report.live, "age_s": round(h.age_s), "verdict": h.verdict}
        for h in survey.hosts
    ]
    return {**asdict(survey.status), "alive": survey.alive, "hosts": hosts}


def watch(look: Callable[[], Survey]) -> None:
    """Show the status until Ctrl-C. While the share is away, the error is shown instead.

    Args:
        look: reads the status anew.
    """
    with Live(console=console(), auto_refresh=False, screen=True) as live:
        try:
            while True:
                live.update(_rendered(look), refresh=True)
                time.sleep(_REFRESH_S)
        except KeyboardInterrupt:
            return


def _rendered(look: Callable[[], Survey]) -> RenderableType:
    try:
        return render(look())
    except ExplainedError as error:
        return Text(explained(error), style="red")


def render(survey: Survey) -> RenderableType:
    """Return the whole display, the most urgent first."""
    status = survey.status
    return Group(
        *_head(survey), *_running(status, survey.alive), *_waiting(status), *_failed(status), *_finished(status)
    )


def _head(survey: Survey) -> Iterator[RenderableType]:
    status = survey.status
    reason = f": {escape(status.reason)}" if status.reason else ""
    yield f"[{_COLOURS.get(status.state, 'bold')}]●[/] [bold]{_state(status.state)}[/]{since(status.since)}{reason}"
    if status.state in _REMEDIES:
        yield f"  Continue with: [bold]{_REMEDIES[ServiceState(status.state)]}[/]"
    counts = [f"{len(status.running)} running", f"{status.queued + len(status.waiting)} waiting"]
    counts += [f"{status.settling} still arriving"] if status.settling else []
    counts += [f"{len(status.ignored)} left alone"] if status.ignored else []
    yield f"  {', '.join(counts)}, quality level {status.level}"
    for host in survey.hosts:
        if host.verdict:
            yield f"  [red]{escape(host.verdict)}[/]"
        else:
            line = host.report.line()
            yield f"  {escape(line.host)}: {_state(line.state)}, reported {round(host.age_s)} s ago"
    for node in status.nodes:
        yield f"  node {escape(node.node)}: {_node(node)}"
    yield from (f"  [yellow]{escape(note)}[/]" for note in status.notes)


def _node(node: NodeLine) -> str:
    state = node.state.replace("_", " ")
    classes = f", {escape(', '.join(node.compute_classes))}" if node.slots else ""
    return f"{state}, {node.workers} of {node.slots} slots in use{classes}"


def _state(state: str) -> str:
    return "not reporting" if state == SILENT else state.replace("_", " ")


def _running(status: ServiceStatus, alive: bool) -> Iterator[RenderableType]:
    if not status.running:
        return
    yield Text("\nRunning" if alive else "\nWas running; it continues where it stopped at the next start", style="bold")
    several = len(status.hosts) > 1
    table = _table("file", "bar", "percent", "stage", "speed", "left", "level", *(["host"] if several else []))
    for job in status.running:
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
    """Return what the job waits for, or its degradation level, with the reason."""
    if job.since:
        return f"[yellow]waits{since(job.since)}: {escape(job.lacks or job.level_reason)}[/]"
    level = job.level + (f": {job.level_reason}" if job.level_reason else "")
    return f"[yellow]{escape(level)}[/]" if job.level != Level.NORMAL else level


def _stage(job: RunningJob) -> str:
    attempt = f", attempt {job.attempt}" if job.attempt > 1 else ""
    return job.stage + attempt + (f" on {job.device}" if job.device else "")


def _waiting(status: ServiceStatus) -> Iterator[RenderableType]:
    lines = [(job.file, f"{job.reason} {job.remedy}{since(job.since)}".strip()) for job in status.waiting]
    lines += [(file.file, f"profile {file.profile}") for file in status.queue]
    lines += [(file, "still arriving") for file in status.arriving]
    if lines:
        yield Text("\nWaiting", style="bold")
        table = _table("file", "why")
        for file, why in lines[:_LISTED]:
            table.add_row(escape(printable(file)), escape(why))
        yield table
        yield from _more(len(lines), "status.json in outbox lists more")


def _failed(status: ServiceStatus) -> Iterator[RenderableType]:
    if status.failed:
        yield Text("\nFailed lately", style="bold")
        yield from (_failure(job) for job in status.failed[:_LISTED])
        yield from _more(len(status.failed), "they are in failed, each with its report")
        yield "  [dim]Try one again with: dualface retry NAME[/]"


def _failure(job: FailedJob) -> RenderableType:
    text = f"{job.message} {job.remedy}" if job.remedy else job.message
    return f"  [red]{escape(printable(job.file))}[/] {_ago(job.at)} ({job.code}): {escape(text)}"


def _finished(status: ServiceStatus) -> Iterator[RenderableType]:
    if status.finished:
        yield Text("\nDone lately", style="bold")
        table = _table("file", "when", "verdict")
        for job in status.finished[:_LISTED]:
            table.add_row(escape(printable(job.output)), _ago(job.at), _verdict(job))
        yield table


def _verdict(job: FinishedJob) -> str:
    warnings = [escape(printable(warned["message"])) for warned in warnings_in(job.facts)]
    but = [f"[yellow]{words}[/]" for words in warnings[:_LISTED]]
    but += [f"[yellow]and {len(warnings) - _LISTED} more; the report names them[/]"] if len(warnings) > _LISTED else []
    return "\n".join([escape(job.verdict), *but])


def _table(*columns: str) -> Table:
    """Return a table of plain columns; names and sentences may wrap, numbers and bars may not."""
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
