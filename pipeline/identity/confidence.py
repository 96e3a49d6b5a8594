"""How probably a decision who somebody is is right. The constants are calibrated with ``tests/bench/confidence.py``."""

from __future__ import annotations

import math

from pipeline.identity.appearance import weight
from pipeline.identity.assignment import APPEARS
from pipeline.identity.tracklets import Tracklet

MOTION_NATS, ALIKE_NATS = (
    3.0,
    2.0,
)  # most nats of motion: without embeddings, and where they may say that both look alike
ORDER_NATS = 0.7  # after a cut: nats of place and gaze against an exchange
LIKENESS_TRUST, LIKENESS_ZERO = (
    2.2,
    0.8,
)  # nats against a stranger: ``TRUST`` times the mean of embeddings above ``ZERO``
LEAST_LIKENESS_NATS = 0.4  # also of a face that looks unlike its person: the assignment had other reasons
UNSEEN_NATS = 2.0  # nats against a stranger without embeddings
FIRST_FACE_NATS = -1.0  # while no other person is known, another face may be the second person's


def confidence(tracklet: Tracklet, own: float | None, other: float | None) -> float:
    """Return the probability that a tracklet is of its person.

    After a cut or an entry it may be the other person's, or a stranger's: it must be like its own person, and more so
    than like the other one. More embeddings do not make that surer, as they err alike. Otherwise motion has led to it,
    and only the two may have been exchanged.

    Args:
        tracklet: with a label that was contested.
        own, other: nats of the embeddings for its own person and for the other one, against a stranger; None without
            embeddings or where there is no other person.
    """
    against = (own or 0.0) - (other or 0.0)
    most = MOTION_NATS if own is None or other is None else ALIKE_NATS
    motion = min(most, tracklet.margin - tracklet.appearance_margin)
    if tracklet.reason not in APPEARS:
        return probability(motion + against)
    looks = weight(len(tracklet.separation))
    likeness = UNSEEN_NATS
    if own is not None:
        likeness = max(LEAST_LIKENESS_NATS, LIKENESS_TRUST * (own / looks - LIKENESS_ZERO))
        if other is None:
            return probability(likeness + FIRST_FACE_NATS)
    return probability(likeness) * probability((ORDER_NATS if tracklet.reason == "cut" else motion) + against / looks)


def probability(nats: float) -> float:
    """Return the probability of these log odds."""
    return 1 / (1 + math.exp(-nats))
