"""The command line `dualface`. A command imports what it needs when it runs, so that help appears at once.

Exit codes: 0 done; 1 a job failed; 2 wrong usage or configuration; 3 the environment does not permit it.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli import cluster_command, config_command, control_command, engines_command
from daemon.cli.options import ConfigOption, RootOption, complete_profiles, examples, json_text
from daemon.errors import ConfigError, DaemonError
from daemon.remedies import remedy_of
from engines.errors import ExplainedError

if TYPE_CHECKING:
    from daemon.config.settings import Settings

EXIT_FAILED, EXIT_USAGE, EXIT_ENVIRONMENT = 1, 2, 3

_EXAMPLES = """\b
dualface demo                                   a demonstration in ./demo
dualface process interview.mp4 --output out     one file, with a progress bar
dualface run --config /etc/dualface/config.yaml the service, in the foreground
dualface status                                 the status of the service
"""


class OutputFolderError(DaemonError):
    code = "OUTPUT_FOLDER"
    remedy = "Name a folder that you may write to."
    environmental = True


app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Turns recordings of two people into a smoothly framed split screen.\n\n" + _EXAMPLES,
)
app.add_typer(config_command.app, name="config")
app.add_typer(engines_command.app, name="engines")
app.add_typer(cluster_command.app, name="cluster")
app.command(epilog=examples("node", "node --address 192.0.2.10"))(cluster_command.node)


def main() -> None:
    """Run the command; each error becomes a sentence and an exit code."""
    words = sys.argv[1:]
    try:
        app([word for word in words if word != "--debug"], prog_name="dualface")
    except Exception as error:
        if "--debug" in words:
            raise
        sys.exit(_report_error(error))


def _report_error(error: Exception) -> int:
    """Print what happened and what to do; return the exit code."""
    if not isinstance(error, ExplainedError):
        _print(f"A fault of the program: {type(error).__name__}: {error}.", "Report it with the output of --debug.")
        return EXIT_FAILED
    _print(error.message if "\n" in error.message else f"{error.message.rstrip('.')}.", remedy_of(error))
    return _exit_code(error)


def _exit_code(error: ExplainedError) -> int:
    if isinstance(error, ConfigError):
        return EXIT_USAGE
    return EXIT_ENVIRONMENT if error.environmental else EXIT_FAILED


def _print(*sentences: str) -> None:
    print(*sentences, sep="\n" if "\n" in sentences[0] else " ", file=sys.stderr)  # noqa: T201


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"dualface {version('dualface')}")
        except PackageNotFoundError:
            typer.echo("dualface, not installed")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options of all commands."""
    del debug, version
    if context.invoked_subcommand != "process":  # it sets up its own log later, to start sooner
        from daemon import logs

        logs.configure_command()


DryRunOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Print what would be done, and change nothing.")]


@app.command(epilog=examples("run --config /etc/dualface/config.yaml", "run --dry-run"))
def run(config: ConfigOption = None, dry_run: DryRunOption = False) -> None:
    """Watch the share's inboxes and process files until stopped.

    With --dry-run: print which files would be claimed, in which order and with which profile, and why others would not.
    """
    from daemon.config.loader import load
    from daemon.service import main as service

    if dry_run:
        from daemon import logs
        from daemon.cli import dry_run_view
        from daemon.cli.dry_run import forecast
        from daemon.share.share import Share

        logs.configure_command("error")  # the output names the reasons that the service would log
        settings = load(config)
        dry_run_view.show(forecast(Share(settings), settings))
        return
    raise typer.Exit(service.run(load(config), lambda: load(config)))


@app.command(
    epilog=examples(
        "process interview.mp4 --output out",
        "process *.mov -o out --profile archive",
        "process talk.mp4 -o out --set crf=18 --set missing=freeze",
        "process *.mp4 -o out --dry-run",
    )
)
def process(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings to process.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where the results go.")],
    profile: Annotated[
        str,
        typer.Option("--profile", "-p", help="Profile of the configuration.", autocompletion=complete_profiles),
    ] = "default",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: crf=18, or limits.duration_s=60."),
    ] = None,
    config: ConfigOption = None,
    debug_overlay: Annotated[
        bool, typer.Option("--debug-overlay", help="Also write NAME.dual.debug.mp4: the source with all detections.")
    ] = False,
    report_html: Annotated[
        bool, typer.Option("--report-html", help="Also write NAME.dual.report.html: the report for people, with plots.")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Process named files, without a share.

    If a file fails, NAME.report.json in DIR explains why, and the other files continue. An interrupted command
    continues where it stopped when it is run again.
    """
    from daemon.cli.process import items as process_items
    from daemon.cli.process import view as process_view
    from daemon.config.loader import load
    from daemon.config.overrides import parse
    from daemon.worker.spawn import take_ahead

    settings = load(config, parse([*(assignments or []), *(["reports.html=true"] if report_html else [])], profile))
    _check_profile(profile, settings)
    if dry_run:
        items = process_items.plan(files, output, settings, profile, debug_overlay=debug_overlay)
        raise typer.Exit(EXIT_FAILED if process_view.show_plan(items, output) else 0)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputFolderError(f"{output} cannot be used: {error.strerror}") from error
    failed = process_view.process(files, output, settings, profile, debug_overlay=debug_overlay, spare=take_ahead())
    raise typer.Exit(EXIT_FAILED if failed else 0)


def _check_profile(profile: str, settings: Settings) -> None:
    if profile not in settings.profiles:
        known = ", ".join(sorted(settings.profiles))
        raise ConfigError(f"There is no profile '{profile}'", remedy=f"Known profiles: {known}.")


@app.command(epilog=examples("demo", "demo /tmp/dualface-demo"))
def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the demonstration.")] = Path("demo"),
) -> None:
    """Make a sample recording of two people, run the service on it in DIR and show the result."""
    from daemon.cli.demo import Demo

    try:
        Demo(directory).run()
    except KeyboardInterrupt:
        _print("Stopped; the service of the demonstration has ended.", f"Start again: dualface demo {directory}")
        raise typer.Exit(EXIT_FAILED) from None


@app.command(epilog=examples("status", "status --watch", "status --root /mnt/nas --json"))
def status(
    config: ConfigOption = None,
    root: RootOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Update the display until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the status of the services of the share.

    Exit code 3 if none of them is running.
    """
    from daemon.cli import status_view
    from daemon.cli.service_hosts import with_unit_status
    from daemon.share.reach import NoShareError, share_of
    from daemon.status.liveness import survey

    try:
        share, settings = share_of(config, root)
    except NoShareError as error:
        raise with_unit_status(error) from error
    found = survey(share, settings)
    if watch:
        status_view.watch(lambda: survey(share, settings))
    elif as_json:
        typer.echo(json_text(status_view.as_dict(found)))
    else:
        status_view.console().print(status_view.render(found))
    raise typer.Exit(0 if found.alive else EXIT_ENVIRONMENT)


for _command, _examples in (
    (control_command.pause, examples("pause", 'pause --reason "the NAS gets new disks"')),
    (control_command.resume, examples("resume", "resume --root /mnt/nas")),
    (control_command.drain, examples("drain && sudo systemctl stop dualface", "drain nas2 --no-wait", "drain --all")),
    (control_command.retry, examples("retry interview.mp4", "retry lessons/algebra", "retry --all --inbox inbox/fast")),
):
    app.command(epilog=_examples)(_command)


@app.command(epilog=examples("doctor", "doctor --only share --through /mnt/nas-again", "doctor --json"))
def doctor(
    config: ConfigOption = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Run only this check or group of checks (share); may be repeated."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the names of all checks and what they mean.")] = False,
    through: Annotated[
        Path | None,
        typer.Option("--through", metavar="DIR", help="A second path to the share (another mount), to measure delays."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check everything that the service needs; exit code 3 if the service cannot work."""
    from daemon.cli import doctor_command

    if listed:
        doctor_command.show_list(as_json)
    elif not doctor_command.run(config, only=only or [], through=through, as_json=as_json):
        raise typer.Exit(EXIT_ENVIRONMENT)


@app.command(epilog=examples("probe", "probe --write"))
def probe(
    config: ConfigOption = None,
    write: Annotated[bool, typer.Option("--write", help="Save the proposed settings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure the hardware and propose settings; --write saves them beside the configuration."""
    from daemon.cli import probe_command

    probe_command.run(config, write=write, as_json=as_json)


@app.command(epilog=examples("bench interview.mp4", "bench interview.mp4 --runs 1 --minutes 5 --minutes 60"))
def bench(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings to measure with; 1080p is best.")],
    runs: Annotated[int, typer.Option(min=1, max=100, help="Runs of each command for each file.")] = 3,
    minutes: Annotated[
        list[float] | None,
        typer.Option("--minutes", help="Also measure memory with FILE repeated to this length; may be repeated."),
    ] = None,
) -> None:
    """Compare with an ffmpeg command with fixed crops, and with decoder and x264 alone, as ratios."""
    from daemon.cli import bench as benchmark

    for file in files:
        typer.echo(benchmark.table(file.name, benchmark.compare(file, runs)))
        if minutes:
            typer.echo(benchmark.memory_table(file, [60 * m for m in minutes]))
