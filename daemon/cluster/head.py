"""The head of a cluster: a node that describes the cluster on the share, and that the others join."""

from __future__ import annotations

import secrets
import time

import structlog

from daemon.cluster import join_checks, token
from daemon.cluster.errors import HeadTakenError
from daemon.cluster.head_lease import HeadLease
from daemon.cluster.node import NodeOptions, run_node
from daemon.cluster.ray_process import RayProcess, ray_process
from daemon.config.settings import Settings
from daemon.executor.nodes import ClusterDescription, Versions, token_mark
from daemon.share.leases import host_name
from daemon.share.share import Share

log = structlog.get_logger(__name__)


def start_head(settings: Settings, options: NodeOptions, *, standby: bool = False) -> None:
    """Check this host, and run the head until it is stopped or another host has taken over.

    Args:
        standby: wait until the present head has gone.

    Raises:
        JoinError: this host cannot be the head, another one is, or Ray has ended.
    """
    with ray_process() as process:
        join_checks.check_ray()
        if token.make_if_missing(settings.cluster.token_file):
            log.info("token written; copy it to the other hosts", path=str(settings.cluster.token_file))
        word = token.read(settings.cluster.token_file)
        share = Share(settings)
        share.prepare()
        lease = HeadLease(settings, share.state, time.monotonic)
        try:
            if _acquired(lease, settings, process, wait=standby):
                lease.keep(on_lost=process.stop)
                _run(settings, options, process, word)
        finally:
            lease.release()


def _acquired(lease: HeadLease, settings: Settings, process: RayProcess, *, wait: bool) -> bool:
    """Become the head; return False if a stop came first."""
    waits = False
    while not lease.try_once():
        holder = lease.holder
        if not wait:
            raise HeadTakenError(f"{holder.host if holder else 'Another host'} is the head of the cluster.")
        if not waits:
            log.info("standing by", head=holder.host if holder else "")
        waits = True
        if process.stopping.wait(settings.leases.renew_s):
            return False
    return True


def _run(settings: Settings, options: NodeOptions, process: RayProcess, word: str) -> None:
    share = Share(settings)
    address = join_checks.own_address(settings.cluster.address)
    cluster = secrets.token_hex(8)
    mark = token_mark(word, cluster)
    description = ClusterDescription(cluster, address, options.port, str(share.root), Versions.here(), mark)
    description.write(share.state, host_name(settings.leases))
    dashboard = f"--include-dashboard={'true' if settings.cluster.dashboard else 'false'}"
    head = ["--head", f"--port={options.port}", f"--dashboard-port={options.port + 7}", dashboard]
    run_node(settings, options, process, [*head, f"--node-ip-address={address}"])
