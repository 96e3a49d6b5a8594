"""A host as a node of the cluster: it checks itself, describes itself on the share, and runs Ray's processes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.cluster import join_checks
from daemon.cluster.ray_process import RayProcess, ray_process
from daemon.config.settings import Settings
from daemon.executor.nodes import NodeDescription, Versions
from daemon.executor.places import job_slots, jobs_per_gpu
from daemon.executor.ray_environment import NODE_LABEL, SESSION_LABEL
from daemon.share.leases import host_name
from daemon.share.share import Share

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a node differs from others.

    Attributes:
        port: first of its ports.
        folder: for Ray's sockets and logs; the service of this host must reach it.
        works: whether it runs workers; a head that does not is no node for the service.
    """

    port: int
    folder: Path
    works: bool = True


def join(settings: Settings, options: NodeOptions, address: str = "") -> None:
    """Check this host and run it as a node until it is stopped.

    Args:
        address: of the head; "" takes the one that the share names.

    Raises:
        JoinError, NoShareError: this host cannot join, or Ray has ended.
    """
    with ray_process() as process:
        join_checks.check_ray()
        share = Share(settings)
        cluster = join_checks.check_share(share, address)
        join_checks.check_versions(cluster)
        join_checks.check_token(settings, cluster)
        join_checks.check_clock(share, host_name(settings.leases))
        join_checks.check_head(cluster)
        own = join_checks.own_address(cluster.address)
        head = [f"--address={cluster.address}:{cluster.port}", f"--node-ip-address={own}"]
        run_node(settings, options, process, head)


def run_node(settings: Settings, options: NodeOptions, process: RayProcess, place: list[str]) -> None:
    """Describe this host on the share if it works, and run Ray until it is stopped.

    Args:
        place: options that name the head, or make this host the head.

    Raises:
        AnsweredError, ChildFailedError: the devices do not work.
        JoinError: Ray has ended.
    """
    labels = _described(settings) if options.works else {}
    process.run(place, port=options.port, folder=options.folder, token_file=settings.cluster.token_file, labels=labels)


def _described(settings: Settings) -> dict[str, str]:
    """Write the description of this node; return the labels by which the service finds it."""
    ready = join_checks.check_devices(settings)
    share, slots = Share(settings), job_slots(settings)
    description = NodeDescription(
        node=host_name(settings.leases),
        session=secrets.token_hex(8),
        root=str(share.root),
        device=ready.device,
        versions=Versions.here(),
        compute_class=ready.compute_class,
        gpus=ready.gpus,
        slots=slots,
        slots_per_gpu=jobs_per_gpu(settings.device.jobs_per_card, slots, len(ready.gpus)),
    )
    description.write(share.state)
    log.info("node described", device=ready.device, compute_class=ready.compute_class, slots=slots)
    return {NODE_LABEL: description.node, SESSION_LABEL: description.session}
