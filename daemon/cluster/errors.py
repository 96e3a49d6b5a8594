"""Why a host cannot join the cluster."""

from __future__ import annotations

from daemon.errors import DaemonError


class JoinError(DaemonError):
    """A host cannot join; each kind has a code of its own."""

    code = "CANNOT_JOIN"
    remedy = "Put right what is named, then join again."
    doctor_check = "cluster"
    environmental = True


class RayMissingError(JoinError):
    code = "RAY_MISSING"
    remedy = "Install the program again with Ray: ./install.sh service --cluster; on a mere node, program --cluster."


class TokenError(JoinError):
    code = "CLUSTER_TOKEN"
    remedy = "Copy the head's file to cluster.token_file of this host, and let the service's user alone read it."


class OtherShareError(JoinError):
    code = "OTHER_SHARE"
    remedy = "Mount the head's share on this host, at the same path, and set share.root to it."


class OtherVersionError(JoinError):
    code = "OTHER_VERSION"
    remedy = "Install the head's versions of dualface, Python and Ray on this host, then join again."


class ClockError(JoinError):
    code = "CLOCK_SKEW"
    remedy = "Set the clock with NTP (systemd-timesyncd or chrony) on this host and on the file server."


class HeadTakenError(JoinError):
    code = "HEAD_TAKEN"
    remedy = "Join it (`dualface node`), or wait as its standby: dualface cluster start --standby"


class HeadUnreachableError(JoinError):
    code = "HEAD_UNREACHABLE"
    remedy = (
        "Start the head (`dualface cluster start`), and open cluster.port and the ports after it between the hosts."
    )
