"""Checks of what a cluster needs on this host."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import asdict

from daemon.cluster import join_checks, token
from daemon.cluster.errors import JoinError
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, failed, not_applicable, ok, warning
from daemon.executor.nodes import ClusterDescription, Versions
from daemon.executor.ray_environment import PORTS
from daemon.remedies import remedy_of

_NETWORK = (
    "The nodes need a private network: Ray listens on every address of a host, and its token is no encryption. "
    "Let a firewall keep everybody else from the ports {first} to {last}."
)


@check("cluster")
def cluster(context: Context) -> Finding:
    """A cluster needs Ray, the token, the head's versions, and a private network between its hosts."""
    settings = context.settings.cluster
    if settings.engine == "local":
        return not_applicable("cluster.engine is local: all work runs on this host.")
    facts = {"address": settings.address, "versions": asdict(Versions.here())}
    try:
        join_checks.check_ray()
        token.read(settings.token_file)
        found = ClusterDescription.read(context.share.state)
        if found is None:
            return failed("No head has been started on this share.", "Start it: dualface cluster start", facts=facts)
        join_checks.check_versions(found)
        join_checks.check_token(context.settings, found)
        join_checks.check_head(found)
    except JoinError as error:
        return failed(error.message, remedy_of(error), facts=facts)
    network = _NETWORK.format(first=settings.port, last=settings.port + PORTS - 1)
    if _is_public(found.address):
        return warning(f"The head {found.address} has a public address.", network, facts=facts)
    return ok(f"The head {found.address} answers; software and token are its own. {network}", facts=facts)


def _is_public(name: str) -> bool:
    try:
        return ipaddress.ip_address(socket.gethostbyname(name)).is_global
    except (OSError, ValueError):
        return False
