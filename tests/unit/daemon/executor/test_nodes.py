"""The descriptions of nodes on the share."""

from __future__ import annotations

from pathlib import Path

from daemon.executor.nodes import NodeDescription, Versions
from daemon.executor.protocol import Place
from daemon.executor.ray_environment import PORTS, port_options, variables
from daemon.worker.protocol import GPU
from engines.nvenc_sessions import SessionProbe

ON_GPUS = NodeDescription(
    node="lab2",
    session="s",
    root="/srv",
    device="cuda:0, cuda:1",
    versions=Versions("1", "3.11.7", "2.60.0"),
    gpus=(GPU(0, 5, SessionProbe(3), "sm90-a"), GPU(1, 7, None, "sm89-b")),
    slots=6,
    slots_per_gpu=3,
)


def test_a_description_arrives_as_it_was_written(tmp_path: Path) -> None:
    ON_GPUS.write(tmp_path)
    assert NodeDescription.read(tmp_path, "lab2") == ON_GPUS
    assert NodeDescription.read(tmp_path, "lab3") is None
    (tmp_path / "nodes" / "lab2.json").write_text("{}")
    assert NodeDescription.read(tmp_path, "lab2") is None


def test_each_gpu_is_a_place_of_its_own_class() -> None:
    assert ON_GPUS.places() == tuple(Place("lab2", gpu, 3, gpu.compute_class) for gpu in ON_GPUS.gpus)
    assert ON_GPUS.class_names == ("sm90-a", "sm89-b")


def test_a_node_without_gpus_is_one_place() -> None:
    one = NodeDescription("a", "s", "/srv", "cpu", ON_GPUS.versions, "cpu-c", slots=2)
    assert one.places() == (Place("a", None, 2, "cpu-c"),)


def test_all_ports_are_fixed_and_in_one_block() -> None:
    ports = [int(option.rpartition("=")[2]) for option in port_options(9480)]
    assert len(set(ports)) == len(ports)
    assert all(9480 < port < 9480 + PORTS for port in ports)


def test_every_process_asks_for_the_token_and_sends_no_statistics() -> None:
    found = variables(Path("/etc/dualface/cluster.token"))
    assert (found["RAY_AUTH_MODE"], found["RAY_USAGE_STATS_ENABLED"]) == ("token", "0")
    assert found["RAY_AUTH_TOKEN_PATH"] == "/etc/dualface/cluster.token"
