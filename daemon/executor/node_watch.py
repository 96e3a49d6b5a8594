"""The nodes of a cluster as the service sees them now."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from daemon.executor.nodes import NodeDescription
from daemon.executor.protocol import Node, Place
from daemon.executor.ray_environment import NODE_LABEL, SESSION_LABEL
from daemon.executor.ray_errors import reason_of

_LOOK_EVERY_S = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UsableNode:
    """A node that answers and sees our share.

    Attributes:
        ray_id: Ray's name for it.
        slots: workers that may run there side by side, which may be fewer than its places have.
    """

    ray_id: str
    places: tuple[Place, ...]
    slots: int


class NodeWatch:
    """Looks at the cluster's nodes again and again, in a thread of its own, since Ray and the share may hang."""

    def __init__(self, ray: Any, state: Path, root: Path) -> None:
        self._ray = ray
        self._state = state
        self._root = root
        self._own_id = ray.get_runtime_context().get_node_id()
        self._stopping = threading.Event()
        self.lost_own = False
        self.usable: dict[str, UsableNode] = {}
        self.all: list[Node] = []
        self._look()
        threading.Thread(target=self._run, name="nodes", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self._look()
            except Exception as error:  # the cluster's head is away; its nodes have to be looked for again
                self.usable, self.all = {}, []
                log.warning("the cluster's nodes are not known", reason=reason_of(error))

    def _look(self) -> None:
        usable: dict[str, UsableNode] = {}
        every: list[Node] = []
        for found in self._ray.nodes():
            labels = found["Labels"]
            name, session = labels.get(NODE_LABEL), labels.get(SESSION_LABEL)
            self.lost_own |= found["NodeID"] == self._own_id and not found["Alive"]
            if not found["Alive"] or not name:
                continue
            description = NodeDescription.read(self._state, name)
            if description is None or description.session != session:
                every.append(Node(name, "other_share"))
            elif description.root != str(self._root):
                every.append(Node(name, "other_root"))
            else:
                places = description.places()
                slots = min(description.slots, sum(place.slots for place in places))
                usable[name] = UsableNode(found["NodeID"], places, slots)
                every.append(Node(name, "ready", description.device, description.class_names, places))
        self.usable, self.all = usable, every
