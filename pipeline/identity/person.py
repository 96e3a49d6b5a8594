"""One of the two people: side, size and presence so far."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.identity.tracklets import Tracklet
from pipeline.people import Side

WEIGHT_S = 30.0  # presence beyond this adds no weight


@dataclass(slots=True)
class Person:
    """One of the two people.

    Attributes:
        certain_side: the side no longer changes.
        shot, height: the latest shot with a detection, and the usual height of the face in it, in pixels.
        quality: recent height of the face, reduced where the detector's confidence is low.
        prominence: recent share of the leading face's size, reduced for low confidence and a face that looks away.
        weight: presence so far, in seconds times prominence.
        seen_s: presence so far, in seconds.
        unseen_s: time since the last detection.
        usual_x: centre of the face where both people are seen, in pixels; None before.
        lived: the features of the face have moved, so it is no picture.
    """

    number: int
    side: Side
    certain_side: bool
    selection_shot: int
    selected_s: float
    shot: int = -1
    height: float = 0.0
    quality: float = 0.0
    prominence: float = 0.0
    weight: float = 0.0
    seen_s: float = 0.0
    unseen_s: float = 0.0
    usual_x: float | None = None
    lived: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is a poster or a photograph that was taken for a person."""
        return self.weight == 0 and self.seen_s > 0 and not self.lived

    def height_in(self, shot: int) -> float:
        """Return the usual face height in a shot, in pixels; 0 while unknown."""
        return self.height if self.shot == shot else 0.0

    def seen(self, tracklet: Tracklet, seconds: float, prominence: float) -> None:
        """Update the person with a detection of this prominence, ``seconds`` after the one before."""
        height = tracklet.last[3]
        self.height = height if self.shot != tracklet.shot else self.height + 0.1 * (height - self.height)
        self.shot, self.unseen_s = tracklet.shot, 0.0
        self.quality = self.height * tracklet.score**2
        self.prominence, self.seen_s = prominence, self.seen_s + seconds
        self.weight = accumulated(self.weight, prominence, seconds)


def accumulated(weight: float, prominence: float, seconds: float) -> float:
    """Return the weight after another frame; presence beyond ``WEIGHT_S`` adds nothing."""
    return max(weight, min(weight + seconds * prominence, WEIGHT_S * prominence))
