"""A host as a node of the cluster: it checks itself, describes itself on the share, and runs Ray's processes.

``ray stop`` is never called: it would end every Ray process of the host, also those of others.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from daemon.cluster import join_checks, token
from daemon.cluster.errors import JoinError
from daemon.config.settings import Settings
from daemon.executor.nodes import ClusterDescription, NodeDescription, Versions, token_mark
from daemon.executor.places import job_slots, jobs_per_gpu
from daemon.executor.ray_environment import NODE_LABEL, SESSION_LABEL, port_options, variables
from daemon.share.leases import host_name
from daemon.share.share import Share
from daemon.worker.protocol import BackendReady

_STORE_BYTES = 80 * 2**20  # Ray's least; nothing large goes through it
_STOP_WITHIN_S = 20.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a node differs from others.

    Attributes:
        port: first of its ports.
        folder: for Ray's sockets and logs; the service of this host must reach it.
        works: whether it runs workers; a head may leave that to the others.
    """

    port: int
    folder: Path
    works: bool = True


def start_head(settings: Settings, options: NodeOptions) -> int:
    """Check this host, describe the cluster and run its head until it is stopped; return Ray's exit status.

    Raises:
        JoinError: this host cannot be the head.
    """
    join_checks.check_ray()
    if token.make_if_missing(settings.cluster.token_file):
        log.info("token written; copy it to the other hosts", path=str(settings.cluster.token_file))
    word = token.read(settings.cluster.token_file)
    share = Share(settings)
    share.prepare()
    cluster = secrets.token_hex(8)
    host = host_name(settings.leases)
    address = join_checks.own_address(settings.cluster.address or "127.0.0.1")
    description = ClusterDescription(
        cluster,
        settings.cluster.address or address,
        options.port,
        str(share.root),
        Versions.here(),
        token_mark(word, cluster),
    )
    session = _describe_node(settings, share, options)
    description.write(share.state, host)
    head = ["--head", f"--port={options.port}", f"--dashboard-port={options.port + 7}"]
    dashboard = f"--include-dashboard={'true' if settings.cluster.dashboard else 'false'}"
    return _run(settings, options, [*head, dashboard, f"--node-ip-address={address}"], session)


def join(settings: Settings, address: str, options: NodeOptions) -> int:
    """Check this host and run it as a node until it is stopped; return Ray's exit status.

    Args:
        address: of the head.

    Raises:
        JoinError, NoShareError: this host cannot join.
    """
    join_checks.check_ray()
    share = Share(settings)
    cluster = join_checks.check_share(share, address)
    join_checks.check_versions(cluster)
    join_checks.check_token(settings, cluster)
    join_checks.check_clock(share, host_name(settings.leases))
    join_checks.check_head(cluster)
    session = _describe_node(settings, share, options)
    place = [f"--address={cluster.address}:{cluster.port}", f"--node-ip-address={join_checks.own_address(address)}"]
    return _run(settings, options, place, session)


def _describe_node(settings: Settings, share: Share, options: NodeOptions) -> str:
    """Write the node's description; return the word by which its Ray processes are known."""
    ready = join_checks.check_devices(settings) if options.works else BackendReady("")
    slots = job_slots(settings) if options.works else 0
    session = secrets.token_hex(8)
    NodeDescription(
        node=host_name(settings.leases),
        session=session,
        root=str(share.root),
        device=ready.device,
        versions=Versions.here(),
        compute_class=ready.compute_class,
        gpus=ready.gpus,
        slots=slots,
        slots_per_gpu=jobs_per_gpu(settings.device.jobs_per_card, slots, len(ready.gpus)),
    ).write(share.state)
    log.info("node described", device=ready.device, compute_class=ready.compute_class, slots=slots)
    return session


def _run(settings: Settings, options: NodeOptions, place: list[str], session: str) -> int:
    """Run ``ray start --block`` as a child, and pass the request to stop on."""
    labels = {NODE_LABEL: host_name(settings.leases), SESSION_LABEL: session}
    command = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--block",
        *place,
        *port_options(options.port),
        "--disable-usage-stats",
        "--include-log-monitor=false",
        "--num-cpus=0",
        "--num-gpus=0",
        f"--object-store-memory={_STORE_BYTES}",
        f"--temp-dir={options.folder}",
        f"--labels={','.join(f'{name}={value}' for name, value in labels.items())}",
    ]
    environment = {**os.environ, **variables(settings.cluster.token_file)}
    with tempfile.TemporaryFile() as output, _passing_signals_on() as children:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        children.append(child)
        status = child.wait()
        if status > 0:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
            log.error("Ray's processes ended", status=status, output=json.dumps(lines[-8:]))
            raise JoinError(f"Ray's processes ended with status {status}: {lines[-1] if lines else 'no output'}")
    return 0


@contextmanager
def _passing_signals_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(signal.SIGTERM if number == signal.SIGINT else number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
