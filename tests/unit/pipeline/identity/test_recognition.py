"""Galleries, and when faces are embedded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engines.errors import ModelUnavailableError
from engines.frames import Rect
from pipeline.identity.gallery import Gallery, GalleryEntry
from pipeline.identity.recognition import FaceRecognizer
from pipeline.identity.tracklets import TrackedFace, Tracklet
from pipeline.people import Face
from pipeline.settings import IdentitySettings
from tests.support.actors import Actor, Recording, line, play, resolver, still


def vector(angle: float) -> list[float]:
    return [math.cos(angle), math.sin(angle)] + [0.0] * 126


def face(x: float = 900.0, h: float = 200.0, score: float = 0.92, nose: float = 0.5) -> Face:
    box = Rect(x, 400, 0.76 * h, h)
    on = ((0.3, 0.4), (0.7, 0.4), (nose, 0.6), (0.35, 0.8), (0.65, 0.8))
    return Face(box, score, tuple((box.x + u * box.w, box.y + v * box.h) for u, v in on))


def tracklet(**changes: object) -> Tracklet:
    values = {
        "id": 1,
        "track": 1,
        "shot": 0,
        "reason": "entry",
        "contact": False,
        "t0": 0.0,
        "t1": 0.0,
        "first": [0.0] * 6,
        "last": [0.0] * 6,
    }
    return Tracklet(**{**values, **changes})


def recognizer(embed: object = None) -> FaceRecognizer:
    return FaceRecognizer(IdentitySettings(), embed or (lambda pairs: np.array([vector(0)] * len(pairs))), 1920, 1080)


def looks(
    k: Tracklet,
    *,
    shown: Face | None = None,
    crowded: bool = False,
    covered: bool = False,
    people: int = 2,
    complete: bool = False,
    t: float = 0.0,
    by: FaceRecognizer | None = None,
) -> bool:
    """Whether this face is embedded."""
    return bool(
        (by or recognizer()).embed(0, t, [TrackedFace(1, shown or face(), crowded, covered)], {1: k}, people, complete)
    )


def test_distance_is_the_mean_of_the_two_nearest_views() -> None:
    gallery = Gallery(4)
    assert gallery.distance(vector(0)) is None
    for i, angle in enumerate((0.2, 0.5, 2.0)):
        gallery.add(GalleryEntry(0.0, i, vector(angle)))
    near = [2 * math.sin(angle / 2) for angle in (0.2, 0.5)]
    assert gallery.distance(vector(0)) == pytest.approx(sum(near) / 2)


def test_a_gallery_keeps_several_different_views_per_direction_and_its_first() -> None:
    gallery = Gallery(3)
    for i in range(10):
        gallery.add(GalleryEntry(0.0, i, vector(0.3 * i)))
        gallery.add(GalleryEntry(0.0, i, vector(0.3 * i + 0.01)))
    gallery.add(GalleryEntry(-0.5, 99, vector(0)))
    assert [v.tracklet for v in gallery.views] == [0, 8, 9, 99]


def test_views_follow_a_repair() -> None:
    r = recognizer()
    k = tracklet(label=1, margin=9.0, views=[(0.0, vector(0.0), True), (0.0, vector(1.0), True)])
    r.enrol(k)
    assert len(r.galleries[0].views) == 2
    k.label = 2
    r.move(k, source=1)
    assert [len(g.views) for g in r.galleries] == [0, 2]


def test_doubtful_faces_do_not_enter_a_gallery() -> None:
    r = recognizer()
    r.enrol(tracklet(label=1, margin=0.5, views=[(0.0, vector(0.0), True)]))
    assert r.galleries[0].views == []


def test_who_enters_is_looked_at_unless_both_people_are_there() -> None:
    assert looks(tracklet())
    assert not looks(tracklet(), complete=True)
    assert not looks(tracklet(reason="parted", label=0), complete=True)
    assert looks(tracklet(reason="parted", label=0))


@pytest.mark.parametrize(
    "shown",
    [
        face(score=0.5),
        face(h=30),
        face(x=-80),
        face(x=1850),
        face(nose=0.9),
    ],
    ids=["faint", "small", "beyond the left edge", "beyond the right edge", "profile"],
)
def test_unclear_faces_are_not_looked_at(shown: Face) -> None:
    assert not looks(tracklet(), shown=shown)


def test_a_covered_face_is_not_looked_at_and_a_crowded_one_teaches_nothing() -> None:
    assert not looks(tracklet(), covered=True)
    k = tracklet()
    assert looks(k, crowded=True)
    assert k.evidence
    assert not any(fresh for _, _, fresh in k.views)


def test_looking_ends_when_it_is_clear_who_it_is() -> None:
    r = recognizer()
    r.galleries[0].add(GalleryEntry(0.0, 5, vector(0.05)))
    r.galleries[1].add(GalleryEntry(0.0, 6, vector(2.0)))
    assert [looks(k, t=0.1 * i, by=r) for k in [tracklet(reason="parted")] for i in range(20)].count(True) == 1
    assert [looks(k, t=0.1 * i, by=r) for k in [tracklet()] for i in range(20)].count(True) == 2, "it may be a stranger"


def test_similar_people_are_looked_at_more_often_but_not_for_ever() -> None:
    r = recognizer()
    r.galleries[0].add(GalleryEntry(0.0, 5, vector(0.45)))
    r.galleries[1].add(GalleryEntry(0.0, 6, vector(-0.5)))
    k = tracklet()
    assert 3 <= [looks(k, t=0.1 * i, by=r) for i in range(50)].count(True) <= 5


def test_a_new_direction_of_a_known_head_is_learned_once() -> None:
    r = recognizer()
    for i in range(6):
        r.galleries[0].add(GalleryEntry(0.0, i, vector(0.4 * i)))
    k = tracklet(label=1, margin=9.0, embedded=1, embedded_t=-1.0)
    assert not looks(k, by=r), "this direction is known"
    assert looks(k, shown=face(nose=0.62), by=r)
    r.enrol(k)
    assert not looks(k, shown=face(nose=0.62), t=1.0, by=r)


def test_one_who_is_seen_alone_is_looked_at_again_now_and_then() -> None:
    r = recognizer()
    for i in range(6):
        r.galleries[0].add(GalleryEntry(0.0, i, vector(0.4 * i)))
    k = tracklet(label=1, margin=9.0, embedded=1, embedded_t=0.0)
    assert [looks(k, t=0.5 * i, by=r) for i in range(1, 13)] == [i % 4 == 0 for i in range(1, 13)]
    k = tracklet(label=1, margin=9.0, embedded=1, embedded_t=0.0)
    assert not any(looks(k, t=0.5 * i, by=r, people=1) for i in range(1, 13)), "there is nobody else to be"


def test_a_failing_model_is_recorded_once_and_the_work_goes_on() -> None:
    calls = []

    def broken(pairs: object) -> None:
        calls.append(pairs)
        raise ModelUnavailableError("the weights are gone")

    recording = Recording([Actor("A", still(500)), Actor("B", still(1400))], seconds=3)
    recording.embed = broken
    people = resolver(recording)
    assert len(play(recording, people)) == len(recording.observations)
    summary = people.summary()
    assert len(calls) == 1
    assert summary["reidentification"] == "failed"
    assert summary["reidentification_error"] == {"code": "MODEL_UNAVAILABLE", "message": "the weights are gone"}


def test_other_errors_are_not_hidden() -> None:
    def broken(pairs: object) -> None:
        raise ZeroDivisionError

    recording = Recording([Actor("A", still(500))], seconds=2)
    recording.embed = broken
    with pytest.raises(ZeroDivisionError):
        play(recording)


def test_two_people_who_sit_cost_few_embeddings() -> None:
    recording = Recording([Actor("A", still(500)), Actor("B", still(1400))], seconds=60)
    people = resolver(recording)
    play(recording, people)
    assert people.summary()["reid_activation_ratio"] <= 0.02


def test_a_face_that_never_changes_is_not_embedded_for_ever() -> None:
    recording = Recording([Actor("A", still(500)), Actor("B", still(1400))], seconds=60)
    recording.embed = lambda pairs: np.array([vector(0.0 if f.box.x < 960 else 1.5) for _, f in pairs])
    people = resolver(recording)
    play(recording, people)
    assert people.summary()["reid_activation_ratio"] <= 0.01
    assert people.summary()["left"]["mean_similarity"] == pytest.approx(1.0)


def test_embeddings_are_asked_for_while_their_frame_waits() -> None:
    recording = Recording(
        [
            Actor("A", line((0, 500, 400), (4, 1400, 400), (8, 500, 400))),
            Actor("B", line((0, 1400, 400), (4, 500, 400), (8, 1400, 400)), depth=1),
        ]
    )
    people, returned = resolver(recording), -1
    for observation in recording.observations:
        recording.embedded.clear()
        scenes = people.observe([observation])
        assert all(pts > returned for pts in recording.embedded)
        returned = scenes[-1].pts if scenes else returned
