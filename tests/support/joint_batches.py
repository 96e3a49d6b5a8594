"""Joins the detector requests of several jobs of a process into batches, fairly and without long waits.

The service does not work like this, since every job has a process of its own: ``tests.gpu.bench_batching`` compares.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from engines.errors import DeviceLostError

RunTogether = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(slots=True, eq=False)
class Member:
    """One job among those that share the device. ``finish`` is the finish tag of its last request."""

    weight: float = 1.0
    finish: float = 0.0


@dataclass(slots=True, eq=False)
class Request:
    """One call for the model.

    Attributes:
        part: what the runner takes; requests of one ``kind`` fit into one batch.
        frames: how many it brings.
        cost: work that it makes, in any unit that is the same for all: pixels.
        arrived_s: on the queue's clock.
        start: start tag; the least one is served first.
    """

    member: Member
    part: Any
    kind: Hashable
    frames: int
    cost: float
    arrived_s: float
    start: float = 0.0
    answer: Future[Any] = field(default_factory=Future)


class FairQueue:
    """Requests in the order of start-time fair queueing, cut into batches. It has no clock and no threads.

    Goyal, Vin and Cheng, "Start-time Fair Queuing" (1996): a request's start tag is the larger of the virtual time
    and its member's last finish tag, its finish tag lies cost / weight later, and virtual time is the start tag of
    what was served last. So a member that asks for much is served in turn with one that asks for little, by cost.
    Requests of the same kind that still fit ride along with the first; they are charged all the same.

    Args:
        max_batch: most frames of a batch; a larger request goes alone.
        max_wait_s: longest time that a request waits for others to join.
    """

    def __init__(self, *, max_batch: int, max_wait_s: float) -> None:
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._waiting: list[Request] = []
        self._virtual_time = 0.0
        self.members = 0  # that may send requests

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Request) -> None:
        member = request.member
        request.start = max(self._virtual_time, member.finish)
        member.finish = request.start + request.cost / member.weight
        self._waiting.append(request)

    def due_s(self) -> float | None:
        """When the next batch should run, None while nothing waits.

        At once where a batch is full or nobody is left who could join, else when the first has waited long enough.
        """
        if not self._waiting:
            return None
        first = min(request.arrived_s for request in self._waiting)
        asking = len({id(request.member) for request in self._waiting})
        if asking >= self.members or self._has_full_batch():
            return first
        return first + self._max_wait_s

    def _has_full_batch(self) -> bool:
        frames: dict[Hashable, int] = {}
        for request in self._waiting:
            frames[request.kind] = frames.get(request.kind, 0) + request.frames
        return max(frames.values()) >= self._max_batch

    def take(self, now_s: float) -> list[Request]:
        """The next batch, the request that is first in turn at its head; empty where none is due."""
        due_s = self.due_s()
        if due_s is None or due_s > now_s:
            return []
        in_turn = sorted(self._waiting, key=lambda request: (request.start, request.arrived_s))
        head = in_turn[0]
        batch, room = [head], self._max_batch - head.frames
        for request in in_turn[1:]:
            if request.kind == head.kind and request.frames <= room:
                batch.append(request)
                room -= request.frames
        self._waiting = [request for request in self._waiting if request not in batch]
        self._virtual_time = max(self._virtual_time, head.start)
        return batch


class MicroBatcher:
    """Runs the batches of a device in a thread of its own.

    Args:
        run: takes the parts of a batch, gives one answer for each; called from that thread alone.
        max_batch: most frames of a batch.
        max_wait_s: longest time that a request waits for others to join, while the device is idle.
        clock: monotonic seconds.
    """

    def __init__(
        self, run: RunTogether, *, max_batch: int, max_wait_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._clock = clock
        self._queue = FairQueue(max_batch=max_batch, max_wait_s=max_wait_s)
        self._changed = threading.Condition()
        self._closing = False
        self.batches = 0
        self.frames = 0
        self._thread = threading.Thread(target=self._flush, name="batches", daemon=True)
        self._thread.start()

    def join(self, weight: float = 1.0) -> Member:
        """A new member; others wait for its requests, so it must ``leave``."""
        with self._changed:
            self._queue.members += 1
        return Member(weight)

    def leave(self, member: Member) -> None:
        with self._changed:
            self._queue.members -= 1
            self._changed.notify_all()

    def submit(self, member: Member, part: Any, *, kind: Hashable, frames: int, cost: float) -> Any:
        """Wait for the answer to one request.

        Raises:
            EngineError: what the run of this request raised.
            RuntimeError: the batcher is closed.
        """
        with self._changed:
            if self._closing:
                raise RuntimeError("the batcher is closed")
            request = Request(member, part, kind, frames, cost, self._clock())
            self._queue.add(request)
            self._changed.notify_all()
        return request.answer.result()

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        with self._changed:
            self._closing = True
            self._queue.members = 0
            self._changed.notify_all()
        self._thread.join()

    def _flush(self) -> None:
        while batch := self._next():
            self.batches += 1
            self.frames += sum(request.frames for request in batch)
            self._answer(batch)

    def _next(self) -> list[Request]:
        """The next batch, as soon as it is due; empty at the end."""
        with self._changed:
            while True:
                now_s = self._clock()
                if batch := self._queue.take(now_s):
                    return batch
                if self._closing and not self._queue:
                    return []
                due_s = self._queue.due_s()
                self._changed.wait(None if due_s is None else max(0.0, due_s - now_s))

    def _answer(self, batch: list[Request]) -> None:
        try:
            answers = self._run([request.part for request in batch])
        except DeviceLostError as error:
            for request in batch:
                request.answer.set_exception(error)
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for request in batch:  # one request's trouble is not that of the others
                self._answer([request])
        else:
            for request, answer in zip(batch, answers, strict=True):
                request.answer.set_result(answer)


class Port(Protocol):
    """A job's side of a shared engine, such as ``tests.support.shared_engine.EnginePort``."""

    name: str

    def offer(self, batch: Any) -> Any: ...

    def take(self, answer: Any) -> list[Any]: ...


class JointDetector:
    """The detector of one job, run together with those of others. Satisfies ``engines.protocols.InferenceEngine``."""

    def __init__(self, batcher: MicroBatcher, port: Port, *, weight: float = 1.0) -> None:
        self.name = port.name
        self._batcher = batcher
        self._port = port
        self._member = batcher.join(weight)

    def run(self, batch: Any) -> list[Any]:
        """Outputs for an input of shape (N, 3, H, W); inputs of the same H and W share batches."""
        frames, _, height, width = batch.shape
        answer = self._batcher.submit(
            self._member,
            self._port.offer(batch),
            kind=(height, width),
            frames=frames,
            cost=frames * height * width,
        )
        return self._port.take(answer)

    def close(self) -> None:
        """Let the others no longer wait for this job."""
        self._batcher.leave(self._member)
