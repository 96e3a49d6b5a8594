"""Trouble on demand: a backend whose parts fail at given calls as a GPU's do. It does real work otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.frames import Frame, FrameBatch
from engines.protocols import Composition
from engines.registry import Backend, CpuBackend

Trouble = Callable[[], Exception]


@dataclass
class Plan:
    """What goes wrong, and what was seen; shared by all backends of a test.

    Attributes:
        inner: opens the backend that does the work.
        encoders: errors of opening the n-th encoder, counted from 0 over all attempts; n is that of a segment while
            nothing goes wrong.
        frames: errors of composing the n-th frame.
        openings: errors of opening the n-th backend.
        strains: what the n-th question after the device's strain is answered.
        alive: parts that are open now, by kind.
        surfaces: size of decoded frames, in the order in which sizes came.
        inputs: shapes of detector inputs, in the order in which they came.
        batches: frames of each decoded batch, by their size.
    """

    inner: Callable[[], Backend] = CpuBackend
    encoders: dict[int, Trouble] = field(default_factory=dict)
    frames: dict[int, Trouble] = field(default_factory=dict)
    openings: dict[int, Trouble] = field(default_factory=dict)
    strains: dict[int, str] = field(default_factory=dict)
    alive: dict[str, int] = field(default_factory=dict)
    surfaces: list[tuple[int, int]] = field(default_factory=list)
    inputs: list[tuple[int, ...]] = field(default_factory=list)
    batches: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, *_: Any, **__: Any) -> TroubledBackend:
        """In the place of ``open_backend``."""
        self.meet("openings")
        return TroubledBackend(self.inner(), self)

    def meet(self, kind: str, calls: int = 1) -> None:
        """Count calls of a kind, and raise what is planned for one of them."""
        with self._lock:
            first = self.counts.get(kind, 0)
            self.counts[kind] = first + calls
        for n in range(first, first + calls):
            if n in getattr(self, kind):
                raise getattr(self, kind)[n]()

    def count(self, kind: str, by: int) -> None:
        with self._lock:
            self.alive[kind] = self.alive.get(kind, 0) + by


class _Part:
    """Something that is open until it is closed."""

    def __init__(self, inner: Any, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan
        plan.count(type(self).__name__, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def close(self) -> None:
        self._plan.count(type(self).__name__, -1)
        self._inner.close()


class TroubledBackend(_Part):
    """A backend under a plan."""

    def pressure_reason(self) -> str | None:
        n = self._plan.counts.get("strains", 0)
        self._plan.counts["strains"] = n + 1
        return self._plan.strains.get(n) or self._inner.pressure_reason()

    def decoder(self, *args: Any, **options: Any) -> Any:
        return _Decoder(self._inner.decoder(*args, **options), self._plan)

    def detector(self, **options: Any) -> Any:
        return _Engine(self._inner.detector(**options), self._plan)

    def compositor(self, *args: Any) -> Any:
        return _Compositor(self._inner.compositor(*args), self._plan)

    def encoder(self, *args: Any, **options: Any) -> Any:
        self._plan.meet("encoders")
        return self._inner.encoder(*args, **options)


class _Decoder(_Part):
    def batches(self, start_pts: int | None = None, size: int = 8) -> Iterator[FrameBatch]:
        for batch in self._inner.batches(start_pts, size):
            shape = batch.frames[0].width, batch.frames[0].height
            if self._plan.surfaces[-1:] != [shape]:
                self._plan.surfaces.append(shape)
            self._plan.batches.setdefault(shape, []).append(len(batch))
            yield batch


class _Engine(_Part):
    def run(self, batch: Any) -> list[Any]:
        if self._plan.inputs[-1:] != [batch.shape[2:]]:
            self._plan.inputs.append(batch.shape[2:])
        return self._inner.run(batch)  # type: ignore[no-any-return]


class _Compositor:
    def __init__(self, inner: Any, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan
        self.name = inner.name

    def compose_batch(self, compositions: Sequence[Composition]) -> list[Frame]:
        self._plan.meet("frames", len(compositions))
        return self._inner.compose_batch(compositions)  # type: ignore[no-any-return]
