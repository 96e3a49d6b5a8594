"""Accidents in a cluster, with Ray's real processes: one clear outcome, no stray process, no second writer."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from daemon.executor import ray_executor
from daemon.executor.nodes import ClusterDescription
from daemon.executor.protocol import Died
from tests.support.cluster import Cluster
from tests.support.network import second_machine
from tests.support.recordings import packets
from tests.support.service import Service, outputs
from tests.support.stage import Stage

KEEP_NOTHING = {"state_days": 0}  # or the next test would build on the segments
WORKER, RAYLET = "daemon.worker.main", "raylet/raylet"

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.close()


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    made = Stage(
        lambda selector, clock: ray_executor.RayExecutor(selector, cluster.settings(), cluster.state, clock=clock)
    )
    yield made
    made.close()


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Two nodes that the test may end."""
    names = "first", "second"
    for name in names:
        cluster.add(name)
    yield names
    for name in names:
        cluster.end(name)


def ended(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return not alive


def test_kills_of_processes_and_nodes(cluster: Cluster, stage: Stage, nodes: tuple[str, str]) -> None:
    """A worker, its relay, a node's raylet alone, and all of a node's processes at once, as when the power fails."""
    first, second = nodes
    pid = stage.runs("worker", node=first)
    psutil.Process(pid).kill()
    assert stage.outcome("worker") == Died("SIGKILL", -signal.SIGKILL)

    worker = psutil.Process(stage.runs("relay", node=first))
    worker.parent().kill()
    lost(stage, "relay", first)
    assert ended([worker])

    for name in nodes:
        stage.runs(f"job of {name}", node=name)
    families = [*cluster.family(first), *cluster.family(second)]
    cluster.signal(second, signal.SIGKILL)
    cluster.named(first, RAYLET)[0].kill()
    for name in nodes:
        lost(stage, f"job of {name}", name)
    assert ended(families)
    stage.until(lambda: not stage.executor.places)


def lost(stage: Stage, job: str, node: str) -> None:
    """Nobody has seen the end of a job's worker."""
    outcome = stage.outcome(job)
    assert isinstance(outcome, Died)
    assert outcome.may_still_run
    assert outcome.last_output.startswith(f"{node}: ")


def test_a_job_of_a_lost_node_goes_on_at_another_and_is_delivered_once(
    cluster: Cluster,
    make_service: Callable[..., Service],
    recording: Path,
    undisturbed: list[tuple[int, int, bytes]],
) -> None:
    """The node sleeps in the middle of the job and wakes up when another has done it."""
    cluster.add("sleeper")
    sections = {name: cluster.document("head")[name] for name in ("cluster", "leases", "device")}
    service = make_service(root=cluster.root, retention=KEEP_NOTHING, **sections)
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: len(service.segments()) >= 2, "two segments")
    assert [job["node"] for job in service.status()["running"]] == ["sleeper"]
    (worker,) = cluster.named("sleeper", WORKER)
    asleep = cluster.family("sleeper")
    cluster.signal("sleeper", signal.SIGSTOP)
    cluster.add("other")
    service.wait_for(lambda: service.exists("outbox/x.dual.report.json"), "the delivery")
    for process in asleep:
        process.send_signal(signal.SIGCONT)
    assert ended([worker]), "the worker of a node that was away gives up"
    service.wait_for(lambda: service.jobs() == [], "the end of the job")
    assert service.files("outbox") == outputs("x")
    assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
    resilience = service.report("outbox/x.dual.report.json")["resilience"]
    assert (resilience["attempts"], len(resilience["resumed_at_s"])) == (1, 1), "a lost node costs no attempt"
    assert {line["code"] for line in service.events("job waits")} == {"NODE_LOST"}
    assert service.stop() == 0
    cluster.end("other")


def test_a_split_recording_survives_the_loss_of_a_node_with_parts(
    cluster: Cluster,
    make_service: Callable[..., Service],
    recording: Path,
    undisturbed: list[tuple[int, int, bytes]],
    nodes: tuple[str, str],
) -> None:
    document = cluster.document("head")
    sections = {"leases": document["leases"], "device": document["device"]}
    service = make_service(
        root=cluster.root, cluster={**document["cluster"], "split": "always"}, retention=KEEP_NOTHING, **sections
    )
    shutil.copy(recording, service.inbox("y.mp4"))
    service.start()

    def workers() -> dict[str, int]:
        return {node["node"]: node["workers"] for node in service.status().get("nodes", []) if node["node"] in nodes}

    service.wait_for(lambda: len(workers()) == 2 and all(workers().values()), "part workers on both nodes")
    conductor = service.status()["running"][0]["node"]
    cluster.signal(next(name for name in nodes if name != conductor), signal.SIGKILL)
    service.wait_for(lambda: service.exists("outbox/y.dual.report.json"), "the delivery")
    service.wait_for(lambda: service.jobs() == [], "the end of the job")
    assert packets(service.root / "outbox" / "y.dual.mp4") == undisturbed
    assert service.report("outbox/y.dual.report.json")["resilience"]["attempts"] == 1
    assert service.stop() == 0


def test_a_node_that_is_cut_off_ends_its_worker_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It works on for a while, with nobody to tell; that is why the job's directory is moved first."""
    monkeypatch.setattr(ray_executor, "_RELAY_PATIENCE_S", 14.0)
    with second_machine() as cable:
        if cable is None:
            pytest.skip("a network namespace needs root")
        cluster = Cluster(cable)
        cluster.add("far")
        stage = Stage(
            lambda selector, clock: ray_executor.RayExecutor(selector, cluster.settings(), cluster.state, clock=clock)
        )
        try:
            worker = psutil.Process(stage.runs("job", node="far"))
            cable.cut()
            lost(stage, "job", "far")
            assert worker.is_running()
            assert ended([worker])
        finally:
            stage.close()
            cluster.close()


def test_a_standby_becomes_the_head_and_nodes_find_it_on_the_share(cluster: Cluster) -> None:
    """Last, since it ends the head of the other tests."""
    port = cluster.standby("standby")
    time.sleep(4)
    assert "standing by" in cluster.log("standby")
    before = ClusterDescription.read(cluster.state)
    cluster.end("head")
    cluster.wait_for("standby", port)
    after = ClusterDescription.read(cluster.state)
    assert before is not None
    assert after is not None
    assert (after.port, before.port, after.cluster == before.cluster) == (port, cluster.port, False)
    cluster.add("late")
