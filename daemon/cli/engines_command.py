"""``dualface engines``: models, and the inference engines built from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from daemon.cli.options import examples, json_text
from daemon.worker.subprocess_call import ask

_MODULE = "engines.inference.commands"
_TARGETS = re.compile(r"(sm\d{2,3}(,sm\d{2,3})*)?")
_LIST_TIMEOUT_S, _BUILD_TIMEOUT_S, _BENCH_TIMEOUT_S = 120.0, 3600.0, 600.0

app = typer.Typer(no_args_is_help=True, help="Models, and the engines built from them.")

CacheOption = Annotated[
    Path | None, typer.Option("--cache", metavar="DIR", help="Folder of the engines; the user's cache by default.")
]


@app.command("list", epilog=examples("engines list", "engines list --json"))
def list_engines(
    cache: CacheOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the models with their licences, and the built engines."""
    found = ask(_MODULE, ["list", _folder(cache)], timeout_s=_LIST_TIMEOUT_S)
    if as_json:
        typer.echo(json_text(found))
        return
    _table("Models", found["models"], ("name", "title", "licence", "sha256"))
    library = found["library"]
    typer.echo(f"Library: {library['name']} {library['version']}" if library else "Library: TensorRT is not installed")
    typer.echo(f"Engines in {found['directory']}: {len(found['engines']) or 'none'}")
    if found["engines"]:
        keys = ("name", "target", "precision", "library", "version", "size_bytes", "built_at", "state")
        _table("", found["engines"], keys)


@app.command("build", epilog=examples("engines build", "engines build --target sm89,sm120"))
def build_engines(
    target: Annotated[
        str,
        typer.Option("--target", metavar="SM,...", help="GPU generations, as sm89,sm120; this machine's by default."),
    ] = "",
    precision: Annotated[str, typer.Option(help="fp16 or fp32.")] = "fp16",
    cache: CacheOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Build engines before their first use. TensorRT for RTX can also build for GPUs of other machines."""
    if precision not in {"fp16", "fp32"}:
        raise typer.BadParameter("give fp16 or fp32", param_hint="--precision")
    if not _TARGETS.fullmatch(target):
        raise typer.BadParameter("give generations such as sm89,sm120", param_hint="--target")
    arguments = ["build", _folder(cache), precision, *target.split(",")]
    done = ask(_MODULE, arguments, timeout_s=_BUILD_TIMEOUT_S)
    if as_json:
        typer.echo(json_text(done))
    else:
        _table("Built", done, ("name", "target", "precision", "library", "size_bytes", "seconds"))


@app.command("bench", epilog=examples("engines bench"))
def bench_engines(
    cache: CacheOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Measure each model in each available runtime."""
    rows = ask(_MODULE, ["bench", _folder(cache)], timeout_s=_BENCH_TIMEOUT_S)
    if as_json:
        typer.echo(json_text(rows))
        return
    shown = [{**row, **{f"batch {n}": s for n, s in row.get("per_second", {}).items()}} for row in rows]
    batches = list(dict.fromkeys(key for row in shown for key in row if key.startswith("batch ")))
    errors = ["error"] if any("error" in row for row in shown) else []
    _table("Inputs per second", shown, ("name", "runtime", *batches, *errors))


def _folder(cache: Path | None) -> str:
    return "" if cache is None else str(cache.absolute())


def _table(title: str, rows: list[dict[str, Any]], keys: tuple[str, ...]) -> None:
    table = Table(*(key.replace("_", " ") for key in keys), title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*(str(row.get(key, "")) for key in keys))
    Console().print(table)
