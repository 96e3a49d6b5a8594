"""How much embeddings of a face speak for a person: distances between sets of embeddings, in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from pipeline.identity.tracklets import Tracklet
from pipeline.settings import IdentitySettings

EMBEDDING_NATS = 4.0  # most nats of one embedding
OTHER_NATS = 2.0  # against its own person and for the other one: a face that is somebody else's by now
FURTHER_VIEW = 0.5  # weight of each further embedding of a tracklet, as they are correlated
USUAL_SCATTER = 0.13  # mean squared distance between two embeddings of one face in one shot
HALF_PROFILE, FULL_PROFILE = 0.5, 0.75  # mean yaw of a tracklet: beyond the first its embeddings say less
PROFILE_TRUST = 0.2  # weight of embeddings of a face in full profile
SCATTER_PAIRS = 3.0  # pairs of embeddings that weigh as much as ``USUAL_SCATTER``


def scatter(vectors: Sequence[Sequence[float]]) -> float:
    """Return the mean squared distance between two of the embeddings, as estimated from few of them."""
    squares = [math.dist(a, b) ** 2 for a, b in combinations(vectors, 2)]
    return (sum(squares) + SCATTER_PAIRS * USUAL_SCATTER) / (len(squares) + SCATTER_PAIRS)


def appearance_nats(tracklet: Tracklet, person: int, settings: IdentitySettings) -> float | None:
    """Return the nats that the embeddings give for this person against a stranger; None without embeddings.

    The measure is the squared distance between the mean of the tracklet's embeddings and that of the person's views.
    Half of the scatter of either set is subtracted from the mean squared distance between their members, so that noise
    of small, dark or blurred faces does not add to it. In contrast, the distance to the nearest views grows with the
    noise and shrinks with their number.
    """
    own = [d for pair in tracklet.separation if (d := pair[person - 1]) is not None]
    if not own:
        return None
    between = sum(own) / len(own) - scatter([vector for _, vector, _ in tracklet.views]) / 2
    limit, spread = settings.stranger_distance**2, settings.embedding_spread
    nats = (limit - between) / (2 * spread * spread)
    trust = max(PROFILE_TRUST, min(1.0, (FULL_PROFILE - abs(tracklet.yaw)) / (FULL_PROFILE - HALF_PROFILE)))
    return trust * max(-EMBEDDING_NATS, min(EMBEDDING_NATS, nats)) * weight(len(own))


def is_the_other(tracklet: Tracklet, settings: IdentitySettings) -> bool:
    """Return whether the latest embedding is clearly unlike the tracklet's person, and like the other one."""
    own, other = (tracklet.separation[-1][k - 1] for k in (tracklet.label, 3 - tracklet.label))
    limit, clear = settings.stranger_distance**2, OTHER_NATS * 2 * settings.embedding_spread**2
    single = USUAL_SCATTER / 2  # of one embedding, as in ``scatter``
    return own is not None and other is not None and own - single > limit + clear and other - single < limit - clear


def weight(embeddings: int) -> float:
    """Return the weight of several embeddings of a tracklet, in that of one."""
    return 1 + FURTHER_VIEW * max(0, embeddings - 1)
