"""What the service makes of a cluster's nodes, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.executor.node_watch import NodeWatch
from daemon.executor.nodes import NodeDescription, Versions
from daemon.executor.protocol import Place

VERSIONS = Versions("1", "3.11.7", "2.60.0")


class FakeRay:
    """In the place of the library: it knows nodes."""

    def __init__(self) -> None:
        self.known: list[dict[str, Any]] = [{"NodeID": "own", "Alive": True, "Labels": {}}]

    def nodes(self) -> list[dict[str, Any]]:
        return self.known

    def get_runtime_context(self) -> FakeRay:
        return self

    def get_node_id(self) -> str:
        return "own"

    def add(self, name: str, session: str = "s", *, alive: bool = True) -> None:
        labels = {"dualface-node": name, "dualface-session": session}
        self.known.append({"NodeID": f"id of {name}", "Alive": alive, "Labels": labels})


@pytest.fixture
def ray() -> FakeRay:
    return FakeRay()


def described(state: Path, name: str, root: str = "/srv") -> None:
    NodeDescription(name, "s", root, "cpu", VERSIONS, "cpu-1", slots=2).write(state)


def watch(ray: FakeRay, state: Path) -> NodeWatch:
    found = NodeWatch(ray, state, Path("/srv"))
    found.stop()
    return found


def test_only_nodes_that_see_the_same_share_at_the_same_path_get_work(ray: FakeRay, tmp_path: Path) -> None:
    for name, root in (("good", "/srv"), ("moved", "/mnt"), ("again", "/srv"), ("gone", "/srv")):
        described(tmp_path, name, root)
    ray.add("good")
    ray.add("moved")
    ray.add("again", "another start of it")
    ray.add("unknown")
    ray.add("gone", alive=False)
    found = watch(ray, tmp_path)
    states = {node.name: node.state for node in found.all}
    assert states == {"good": "ready", "moved": "other_root", "again": "other_share", "unknown": "other_share"}
    (node,) = found.usable.values()
    assert (node.ray_id, node.places, node.slots) == ("id of good", (Place("good", None, 2, "cpu-1"),), 2)


def test_the_end_of_this_host_s_own_node_is_noticed(ray: FakeRay, tmp_path: Path) -> None:
    assert not watch(ray, tmp_path).lost_own
    ray.known[0]["Alive"] = False
    assert watch(ray, tmp_path).lost_own
