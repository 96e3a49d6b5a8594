"""Which place a job gets: pure decisions, from the places of the executor and the jobs that run there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.executor.protocol import Place, PlaceKey
from pipeline.job import Progress


def choose(places: Sequence[Place], taken: Sequence[Place], avoid: PlaceKey | None = None) -> Place | None:
    """Return the place with the fewest workers, then the most GPU memory; None if there is none.

    Args:
        places: those with room.
        taken: the place of each running worker.
        avoid: the place that is taken only if no other is left.
    """
    if not places:
        return None
    counts = [place.key for place in taken]
    return min(places, key=lambda place: (place.key == avoid, counts.count(place.key), -_free_bytes(place)))


def without_degraded(places: Iterable[Place], running: Iterable[tuple[Place, Progress | None]]) -> list[Place]:
    """Return the places without those where a job runs below the normal level, so that no further one starts there.

    If a job waits for disk space, no place is left: all work on one share.

    Args:
        running: the place and the progress of each running job.
    """
    known = [(place, progress) for place, progress in running if progress is not None]
    if any(progress.stage == "space" for _, progress in known):
        return []
    degraded = {place.key for place, p in known if p.level != "normal" and p.trip != "decoder_errors"}
    return [place for place in places if place.key not in degraded]


def _free_bytes(place: Place) -> int:
    return 0 if place.gpu is None else place.gpu.free_bytes
