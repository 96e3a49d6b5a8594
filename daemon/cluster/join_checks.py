"""What must be true before a host joins a cluster; each check raises an explained error."""

from __future__ import annotations

import socket
import time

from daemon.cluster import token
from daemon.cluster.errors import (
    ClockError,
    HeadUnreachableError,
    OtherShareError,
    OtherVersionError,
    RayMissingError,
    TokenError,
)
from daemon.config.settings import Settings
from daemon.executor.nodes import ClusterDescription, Versions, token_mark
from daemon.share import reach
from daemon.share.share import Share
from daemon.worker.protocol import BackendReady
from daemon.worker.subprocess_call import ask

_CONNECT_WITHIN_S = 5.0
_LARGEST_SKEW_S = 5.0
_DEVICES_WITHIN_S = 300.0


def check_ray() -> None:
    """Check that Ray is installed.

    Raises:
        RayMissingError: it is not.
    """
    if not Versions.here().ray:
        raise RayMissingError("Ray is not installed.")


def check_share(share: Share, address: str = "") -> ClusterDescription:
    """Return what the head says about the cluster, if it is on this host's share.

    Args:
        address: the head that is expected there; "" takes any.

    Raises:
        NoShareError, ShareForbiddenError: there is no share.
        OtherShareError: the head has another share, or the same at another path.
    """
    reach.check(share)
    found = ClusterDescription.read(share.state)
    if found is None:
        raise OtherShareError(
            f"No head has been started on the share {share.root}.",
            remedy="Start the head first (`dualface cluster start`), or mount the head's share here.",
        )
    if address and found.address != _resolved(address):
        raise OtherShareError(f"The cluster of the share {share.root} has its head at {found.address}, not {address}.")
    if found.root != str(share.root):
        raise OtherShareError(f"The head has the share at {found.root}, this host at {share.root}.")
    return found


def check_versions(cluster: ClusterDescription) -> None:
    """Check that the software is that of the head.

    Raises:
        OtherVersionError: it is not; parts of a recording would not fit each other, and Ray refuses to connect.
    """
    if differences := Versions.here().differences(cluster.versions):
        raise OtherVersionError(f"This host does not have the head's software: {', '.join(differences)}.")


def check_token(settings: Settings, cluster: ClusterDescription) -> None:
    """Check that this host has the cluster's token.

    Raises:
        TokenError: it has none, or another.
    """
    if token_mark(token.read(settings.cluster.token_file), cluster.cluster) != cluster.token_mark:
        raise TokenError(f"{settings.cluster.token_file} does not hold the cluster's token.")


def check_clock(share: Share, host: str) -> None:
    """Compare the clock with that of the share's file server, which all hosts have in common.

    Raises:
        ClockError: they differ.
        OSError: the share cannot be written.
    """
    path = share.state / f".clock.{host}"
    before = time.time()
    path.unlink(missing_ok=True)
    path.touch()
    after = time.time()
    stamp = path.stat().st_mtime
    path.unlink()
    skew = stamp - after if stamp > after else min(0.0, stamp - before)
    if abs(skew) > _LARGEST_SKEW_S:
        raise ClockError(f"This host's clock and that of the file server differ by {abs(skew):.0f} s.")


def check_head(cluster: ClusterDescription) -> None:
    """Check that the head's port can be reached.

    Raises:
        HeadUnreachableError: it cannot.
    """
    try:
        socket.create_connection((cluster.address, cluster.port), _CONNECT_WITHIN_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise HeadUnreachableError(f"The head {cluster.address}:{cluster.port} cannot be reached: {reason}.") from error


def check_devices(settings: Settings) -> BackendReady:
    """Open the devices as a job would, and return them.

    Raises:
        AnsweredError, ChildFailedError: they do not work.
    """
    arguments = [settings.device.model_dump_json(), settings.workers.limits.model_dump_json()]
    answer = ask("daemon.worker.backend_check", arguments, timeout_s=_DEVICES_WITHIN_S)
    return BackendReady.from_json(answer)


def _resolved(name: str) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        raise HeadUnreachableError(f"The name {name} is not known.") from error


def own_address(head: str) -> str:
    """Return this host's address in the network of the head.

    Raises:
        HeadUnreachableError: the head's name is not known, or there is no way to it.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((head, 9))  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise HeadUnreachableError(f"There is no way to the head {head}: {error.strerror or error}.") from error
