"""What the hosts of a cluster know of each other: the description of the cluster and of each node, on the share.

A service uses only nodes whose description it finds on its own share, so all of them see the same files.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from daemon.executor.protocol import Place
from daemon.files import read_json
from daemon.layout import CLUSTER_FILE, NODES_DIR
from daemon.worker.protocol import GPU
from engines.files import replace_file

_LARGEST_BYTES = 1_000_000
Described = TypeVar("Described")


@dataclass(frozen=True, slots=True)
class Versions:
    """What must be the same on all nodes; "" stands for software that is not installed."""

    dualface: str
    python: str
    ray: str

    @classmethod
    def here(cls) -> Versions:
        """Return those of this installation."""
        return cls(_version("dualface"), platform.python_version(), _version("ray"))

    def differences(self, other: Versions) -> list[str]:
        """Return what differs from another host, in words."""
        mine, theirs = asdict(self), asdict(other)
        return [
            f"{name} {mine[name] or 'none'} instead of {theirs[name]}" for name in mine if mine[name] != theirs[name]
        ]


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    """The cluster, as its head describes it.

    Attributes:
        address, port: where the head listens.
        root: the share's path, which must be the same on all nodes.
        token_mark: tells whether two hosts have the same token, without giving it away.
    """

    cluster: str
    address: str
    port: int
    root: str
    versions: Versions
    token_mark: str

    def write(self, state: Path, host: str) -> None:
        """Put it on the share.

        Raises:
            OSError: the share cannot be written.
        """
        replace_file(state / CLUSTER_FILE, _encoded(self), writer=host)

    @classmethod
    def read(cls, state: Path) -> ClusterDescription | None:
        """Return the description on the share; None if there is none."""
        return _read(state / CLUSTER_FILE, cls)


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """A node, as it describes itself when it joins.

    Attributes:
        node: the host's name on the share.
        session: a random word that the node's processes in the cluster carry, too.
        root: the share's path on the node.
        device: in words, "cpu" or the GPUs.
        compute_class: of work on its CPU; each GPU has its own.
        gpus: those that work; empty on the CPU.
        slots: workers that may run there side by side.
        slots_per_gpu: likewise, on one GPU.
    """

    node: str
    session: str
    root: str
    device: str
    versions: Versions
    compute_class: str = ""
    gpus: tuple[GPU, ...] = ()
    slots: int = 1
    slots_per_gpu: int = 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """The compute classes of its places."""
        return tuple(dict.fromkeys(place.compute_class for place in self.places()))

    def places(self) -> tuple[Place, ...]:
        """Return where workers may run on the node."""
        if not self.gpus:
            return (Place(self.node, None, self.slots, self.compute_class),)
        return tuple(Place(self.node, gpu, self.slots_per_gpu, gpu.compute_class) for gpu in self.gpus)

    def write(self, state: Path) -> None:
        """Put it on the share.

        Raises:
            OSError: the share cannot be written.
        """
        folder = state / NODES_DIR
        folder.mkdir(exist_ok=True)
        replace_file(folder / f"{self.node}.json", _encoded(self), writer=self.node)

    @classmethod
    def read(cls, state: Path, node: str) -> NodeDescription | None:
        """Return the description of a node on the share; None if there is none."""
        return _read(state / NODES_DIR / f"{node}.json", cls)


def token_mark(token: str, cluster: str) -> str:
    """Return what shows that a host has the cluster's token, but does not help to find it."""
    return hmac.new(token.encode(), cluster.encode(), hashlib.sha256).hexdigest()


def _encoded(description: ClusterDescription | NodeDescription) -> bytes:
    return json.dumps(asdict(description), indent=1).encode()


def _read(path: Path, kind: type[Described]) -> Described | None:
    try:
        return TypeAdapter(kind).validate_python(read_json(path, _LARGEST_BYTES))
    except (OSError, ValueError, ValidationError):
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
