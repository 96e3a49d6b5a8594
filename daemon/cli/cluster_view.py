"""``dualface cluster status``: the nodes of the cluster, from the status of the service."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from daemon.cli.status_view import console
from daemon.share.share import Share
from daemon.status.model import read_status

_HEADS = ("node", "state", "device", "compute_classes", "workers", "slots")


def nodes(share: Share) -> list[dict[str, Any]]:
    """Return the nodes as the service has last reported them; empty without a cluster."""
    status = read_status(share.root) or {}
    return list(status.get("nodes", []))


def show(found: list[dict[str, Any]]) -> None:
    """Print the nodes as a table."""
    table = Table(*(head.replace("_", " ") for head in _HEADS), box=None, pad_edge=False)
    for node in found:
        table.add_row(*(escape(_cell(node.get(head, ""))) for head in _HEADS))
    console().print(table if found else "No service reports a cluster.")


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).replace("_", " ")
