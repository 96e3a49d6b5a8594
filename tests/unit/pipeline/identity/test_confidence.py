"""How sure a decision is, by its evidence."""

from __future__ import annotations

import pytest

from pipeline.identity.confidence import confidence
from pipeline.identity.statistics import IdentityRecord
from pipeline.identity.tracklets import Tracklet

BOX = [100.0, 100.0, 50.0, 60.0, 0.0, 0.0]
SURE = 0.9


def tracklet(reason: str, *, margin: float = 3.0, appearance: float = 0.0, t0: float = 1.0, label: int = 1) -> Tracklet:
    return Tracklet(
        1, 1, 0, reason, False, t0, t0 + 2, BOX, BOX, label=label, margin=margin, appearance_margin=appearance
    )


def test_after_a_cut_a_face_must_be_like_its_person_and_unlike_the_other() -> None:
    cut = tracklet("cut")
    assert confidence(cut, 4.0, -4.0) > 0.99
    assert confidence(cut, 1.0, -8.0) < SURE, "it may be a stranger"
    assert confidence(cut, 6.0, 6.0) < SURE, "it may be the other one"
    assert confidence(cut, None, None) < SURE, "nothing was compared"


def test_while_only_one_person_is_known_a_likeness_says_less() -> None:
    cut = tracklet("cut")
    assert confidence(cut, 3.0, None) < confidence(cut, 3.0, -6.0)


@pytest.mark.parametrize("reason", ["contact", "parted", "jump"])
def test_where_motion_leads_to_a_face_no_stranger_is_suspected(reason: str) -> None:
    assert confidence(tracklet(reason), None, None) > SURE
    assert confidence(tracklet(reason), 0.0, 3.0) < SURE
    assert confidence(tracklet(reason), 6.0, 6.0) < SURE, "they look alike"


def test_an_exchange_of_both_counts_once() -> None:
    record = IdentityRecord()
    for label in (1, 2):
        record.closed(tracklet("cut", label=label), 6.0, 6.0)
    once = IdentityRecord()
    once.closed(tracklet("cut"), 6.0, 6.0)
    assert record.log_confidence == once.log_confidence
    assert len(record.doubts) == 2


def test_what_was_too_short_to_be_seen_is_no_doubt() -> None:
    short = tracklet("entry")
    short.t1 = short.t0 + 0.1
    record = IdentityRecord()
    record.closed(short, None, None)
    assert record.log_confidence == 0
    assert not record.doubts


def test_a_change_after_it_was_shown_lowers_the_confidence() -> None:
    record = IdentityRecord()
    record.overturned(tracklet("cut", label=2), 1, 1.5)
    assert record.log_confidence < -2
    assert record.doubts[0]["reason"] == "repaired"
