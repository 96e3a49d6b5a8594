"""Joining requests into batches: fairness, bounded waits, one answer for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import DeviceLostError, EngineError
from engines.inference.cuda import CudaOnnxRuntimeEngine
from engines.inference.onnxruntime import OnnxRuntimeEngine
from engines.models import yunet
from tests.support.gpu_presence import needs_gpu
from tests.support.joint_batches import FairQueue, JointDetector, Member, MicroBatcher, Request
from tests.support.shared_engine import SharedEngine

WAIT_S = 0.006


def request(member: Member, arrived_s: float = 0.0, *, frames: int = 1, kind: str = "a", cost: float = 1.0) -> Request:
    return Request(member, (member, frames), kind, frames, cost, arrived_s)


def queue_for(members: int, max_batch: int = 8) -> FairQueue:
    queue = FairQueue(max_batch=max_batch, max_wait_s=WAIT_S)
    queue.members = members
    return queue


def test_a_lone_job_never_waits() -> None:
    queue = queue_for(1)
    queue.add(request(Member(), 5.0))
    assert queue.due_s() == 5.0
    assert len(queue.take(5.0)) == 1
    assert queue.due_s() is None
    assert queue.take(9.0) == []


def test_a_request_waits_for_others_but_no_longer_than_allowed() -> None:
    queue = queue_for(3)
    queue.add(request(Member(), 1.0))
    assert queue.due_s() == 1.0 + WAIT_S
    assert queue.take(1.005) == []
    queue.add(request(Member(), 1.004))
    assert queue.due_s() == 1.0 + WAIT_S
    assert len(queue.take(1.0 + WAIT_S)) == 2


def test_nobody_waits_once_all_have_asked_or_a_batch_is_full() -> None:
    queue = queue_for(2)
    queue.add(request(Member(), 1.0))
    queue.add(request(Member(), 1.001))
    assert len(queue.take(1.001)) == 2
    queue.add(request(Member(), 2.0, frames=8))
    assert len(queue.take(2.0)) == 1


def test_only_requests_of_one_kind_share_a_batch_and_it_is_never_too_large() -> None:
    queue = queue_for(4)
    for kind, frames in (("a", 5), ("b", 2), ("a", 4), ("a", 3)):
        queue.add(request(Member(), frames=frames, kind=kind))
    assert [[r.frames for r in queue.take(1.0)] for _ in range(3)] == [[5, 3], [2], [4]]


def test_a_request_larger_than_a_batch_goes_alone() -> None:
    queue = queue_for(2)
    queue.add(request(Member(), frames=40))
    queue.add(request(Member(), frames=1))
    assert [r.frames for r in queue.take(1.0)] == [40]


jobs = st.lists(
    st.tuples(
        st.sampled_from([1.0, 2.0, 4.0]),  # weight
        st.floats(1, 16),  # cost of a request: 720p is 1, 4K is 9
        st.integers(1, 8),  # frames
        st.sampled_from("ab"),  # size of the detector's input
    ),
    min_size=2,
    max_size=6,
)


@given(jobs)
def test_served_work_differs_by_no_more_than_two_requests_each(kinds: list[tuple[float, float, int, str]]) -> None:
    """SFQ's bound for members that always have a request waiting, and none of whose requests ride along.

    One kind each, so that nothing shares a batch: what rides along is a gift of room that would stay empty.
    """
    queue = queue_for(len(kinds))
    members = [Member(weight) for weight, *_ in kinds]
    for member, (_, cost, _, _) in zip(members, kinds, strict=True):
        queue.add(request(member, kind=str(id(member)), cost=cost))
    served = dict.fromkeys(map(id, members), 0.0)
    for _ in range(200):
        (done,) = queue.take(1.0)
        served[id(done.member)] += done.cost / done.member.weight
        queue.add(request(done.member, kind=str(id(done.member)), cost=done.cost))
        for a, (weight_a, cost_a, _, _) in zip(members, kinds, strict=True):
            for b, (weight_b, cost_b, _, _) in zip(members, kinds, strict=True):
                bound = cost_a / weight_a + cost_b / weight_b
                assert abs(served[id(a)] - served[id(b)]) <= bound + 1e-6


@given(jobs)
def test_no_job_is_starved_by_those_that_share_batches(kinds: list[tuple[float, float, int, str]]) -> None:
    """Every job is served again before the others have got more than their share and one request each."""
    queue = queue_for(len(kinds))
    members = [Member(weight) for weight, *_ in kinds]

    def ask(number: int) -> None:
        _, cost, frames, kind = kinds[number]
        queue.add(request(members[number], kind=kind, frames=frames, cost=cost))

    for number in range(len(kinds)):
        ask(number)
    served = [0.0] * len(kinds)
    for _ in range(150):
        for done in queue.take(1.0):
            number = members.index(done.member)
            served[number] += done.cost / done.member.weight
            ask(number)
    largest = max(cost / weight for weight, cost, *_ in kinds)
    assert min(served) >= queue._virtual_time - largest
    assert min(served) > 0


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(0, 0.02), st.integers(1, 9), st.sampled_from("ab")), max_size=40)
)
def test_every_request_is_served_once_and_in_time(arrivals: list[tuple[int, float, int, str]]) -> None:
    """On an idle device, whatever comes when: no request is taken later than its arrival and the longest wait."""
    queue, members, now = queue_for(5), [Member() for _ in range(5)], 0.0
    pending: list[Request] = []
    seen: list[Request] = []

    def run_until(end: float) -> None:
        while (due := queue.due_s()) is not None and due <= end:
            batch = queue.take(max(due, 0.0))
            assert batch
            assert all(due <= r.arrived_s + WAIT_S + 1e-12 for r in batch)
            seen.extend(batch)

    for number, gap, frames, kind in arrivals:
        run_until(now + gap)
        now += gap
        pending.append(request(members[number], now, frames=frames, kind=kind))
        queue.add(pending[-1])
    run_until(now + 1)
    assert len(queue) == 0
    assert sorted(map(id, seen)) == sorted(map(id, pending))


@pytest.fixture
def batcher():
    made: list[MicroBatcher] = []

    def make(run, max_batch: int = 8, max_wait_s: float = WAIT_S) -> MicroBatcher:
        made.append(MicroBatcher(run, max_batch=max_batch, max_wait_s=max_wait_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def in_threads(count: int, work) -> list[object]:
    results: list[object] = [None] * count

    def run(number: int) -> None:
        try:
            results[number] = work(number)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return results


def test_answers_reach_their_requesters(batcher) -> None:
    sizes: list[int] = []

    def double(parts: Sequence[int]) -> list[int]:
        sizes.append(len(parts))
        time.sleep(0.001)
        return [part * 2 for part in parts]

    joint = batcher(double)

    def job(number: int) -> list[int]:
        member = joint.join()
        answers = [joint.submit(member, number * 1000 + n, kind=0, frames=1, cost=1) for n in range(50)]
        joint.leave(member)
        return answers

    assert in_threads(6, job) == [[(number * 1000 + n) * 2 for n in range(50)] for number in range(6)]
    assert sum(sizes) == 300 == joint.frames
    assert max(sizes) > 1


class OddError(EngineError):
    code = "ODD"


def test_an_error_reaches_only_the_request_that_caused_it(batcher) -> None:
    def run(parts: Sequence[int]) -> list[int]:
        if any(part == 2 for part in parts):
            raise OddError("two is odd")
        return list(parts)

    joint = batcher(run, max_wait_s=0.05)
    members = [joint.join() for _ in range(4)]
    found = in_threads(4, lambda n: joint.submit(members[n], n, kind=0, frames=1, cost=1))
    assert [found[0], found[1], found[3]] == [0, 1, 3]
    assert isinstance(found[2], OddError)


def test_a_lost_device_is_everybodys_error_and_is_not_tried_again(batcher) -> None:
    calls: list[int] = []

    def run(parts: Sequence[int]) -> list[int]:
        calls.append(len(parts))
        raise DeviceLostError("gone")

    joint = batcher(run, max_wait_s=0.05)
    members = [joint.join() for _ in range(3)]
    found = in_threads(3, lambda n: joint.submit(members[n], n, kind=0, frames=1, cost=1))
    assert all(isinstance(error, DeviceLostError) for error in found)
    assert sum(calls) == 3


def test_a_job_that_left_is_not_waited_for(batcher) -> None:
    joint = batcher(list, max_wait_s=30)
    staying, leaving = joint.join(), joint.join()
    threading.Timer(0.05, joint.leave, (leaving,)).start()
    assert joint.submit(staying, 7, kind=0, frames=1, cost=1) == 7


def test_nothing_is_lost_when_it_closes() -> None:
    joint = MicroBatcher(list, max_batch=8, max_wait_s=30)
    members = [joint.join() for _ in range(3)]
    threading.Timer(0.05, joint.close).start()
    assert joint.submit(members[0], 5, kind=0, frames=1, cost=1) == 5
    with pytest.raises(RuntimeError):
        joint.submit(members[1], 5, kind=0, frames=1, cost=1)


class HostPort:
    """Host memory needs no events."""

    name = "host"

    def offer(self, batch: np.ndarray) -> np.ndarray:
        return batch

    def take(self, answer: list[np.ndarray]) -> list[np.ndarray]:
        return answer


def test_a_joint_detector_finds_what_a_separate_one_finds(batcher) -> None:
    """YuNet itself: frames of several jobs, of two sizes, answered as if each had run alone."""
    alone = OnnxRuntimeEngine(yunet.load())

    def run_together(parts: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        outputs = alone.run(np.concatenate(parts))
        ends = np.cumsum([len(part) for part in parts])
        return [[o[end - len(part) : end] for o in outputs] for part, end in zip(parts, ends, strict=True)]

    joint = batcher(run_together, max_batch=6, max_wait_s=20)  # ample: on a busy machine jobs come late
    noise = np.random.default_rng(3)
    inputs = [
        [noise.uniform(0, 255, (1 + n % 3, 3, 64, 96 if n % 2 else 64)).astype(np.float32) for _ in range(6)]
        for n in range(4)
    ]

    all_open = threading.Barrier(4)  # or the first job might be done before the second one asks

    def job(number: int) -> list[list[np.ndarray]]:
        detector = JointDetector(joint, HostPort())
        all_open.wait(60)
        answers = [detector.run(batch) for batch in inputs[number]]
        detector.close()
        return answers

    for given_inputs, answers in zip(inputs, in_threads(4, job), strict=True):
        for batch, outputs in zip(given_inputs, answers, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(outputs, alone.run(batch), strict=True))
    assert joint.batches < 24


@pytest.mark.gpu
@needs_gpu
def test_jobs_that_share_a_detector_find_what_they_would_alone() -> None:
    """Six threads, each with a stream of its own; inputs are overwritten as soon as the stream allows."""
    cupy = pytest.importorskip("cupy")
    joint = SharedEngine(lambda stream: CudaOnnxRuntimeEngine(yunet.load(), stream=stream))
    batcher = MicroBatcher(joint.run_together, max_batch=16, max_wait_s=0.006)
    reference = OnnxRuntimeEngine(yunet.load(), threads=4)
    failures: list[str] = []

    def job(number: int) -> None:
        with cupy.cuda.Device(0):
            stream = cupy.cuda.Stream(non_blocking=True)
            detector = JointDetector(batcher, joint.port(stream.ptr))
            size = (192, 320) if number % 2 else (384, 640)
            for n in range(8):
                batch = (
                    np.random.default_rng(100 * number + n).uniform(0, 255, (1 + n % 4, 3, *size)).astype(np.float32)
                )
                with stream:
                    given = cupy.asarray(batch)
                    outputs = detector.run(given)
                    given[...] = 0
                    found = [cupy.asnumpy(output) for output in outputs]
                expected = reference.run(batch)
                worst = max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
                if worst > 0.02:
                    failures.append(f"job {number}, batch {n}: {worst}")
            detector.close()

    threads = [threading.Thread(target=job, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    batcher.close()
    assert failures == []
    assert batcher.batches < 48
