"""``dualface node`` and ``dualface cluster``: a host joins a cluster, and what the cluster consists of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.options import ConfigOption, RootOption, examples, json_text

DEFAULT_FOLDER = Path("/run/dualface-node")

FolderOption = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="For Ray's sockets and logs; this host's service must reach it.")
]
PortOption = Annotated[
    int, typer.Option("--port", help="First of 120 ports in a row, if not cluster.port; for a second node of a host.")
]

app = typer.Typer(no_args_is_help=True, help="The head of a cluster, and its nodes.")


def node(
    address: Annotated[
        str, typer.Option("--address", metavar="HEAD", help="The head that is expected; without, the share names it.")
    ] = "",
    config: ConfigOption = None,
    folder: FolderOption = DEFAULT_FOLDER,
    port: PortOption = 0,
) -> None:
    """Join this host to a cluster and let it work, until stopped.

    First it is checked that the host has the same share, software, token and time as the head, and working devices.
    """
    from daemon import logs
    from daemon.cluster.node import NodeOptions, join
    from daemon.config.loader import load

    settings = load(config)
    logs.configure(settings.log)
    join(settings, NodeOptions(port or settings.cluster.port, folder), address)


@app.command(epilog=examples("cluster start", "cluster start --idle", "cluster start --standby"))
def start(
    config: ConfigOption = None,
    folder: FolderOption = DEFAULT_FOLDER,
    port: PortOption = 0,
    idle: Annotated[bool, typer.Option("--idle", help="Let only the other nodes work.")] = False,
    standby: Annotated[bool, typer.Option("--standby", help="Wait until the present head has gone.")] = False,
) -> None:
    """Run the head of a cluster on this host, until stopped. It is a node as well."""
    from daemon import logs
    from daemon.cluster.head import start_head
    from daemon.cluster.node import NodeOptions
    from daemon.config.loader import load

    settings = load(config)
    logs.configure(settings.log)
    options = NodeOptions(port or settings.cluster.port, folder, works=not idle)
    start_head(settings, options, standby=standby)


@app.command(epilog=examples("cluster status", "cluster status --json"))
def status(
    config: ConfigOption = None,
    root: RootOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show the nodes of the cluster, as the service sees them; exit code 3 if none can work."""
    from daemon.cli import cluster_view
    from daemon.share.reach import share_of

    share, _ = share_of(config, root)
    nodes = cluster_view.nodes(share)
    if as_json:
        typer.echo(json_text(nodes))
    else:
        cluster_view.show(nodes)
    raise typer.Exit(0 if any(found["state"] == "ready" for found in nodes) else 3)
