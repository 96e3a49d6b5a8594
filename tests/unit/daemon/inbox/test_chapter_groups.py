"""Parts of one recording: their names, who waits for whom, and that no file is lost on the way of the whole group."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.cli.requeue import choose, failed_files, requeue
from daemon.config.settings import Settings, SettleSettings
from daemon.inbox.candidate import Candidate
from daemon.inbox.chapter_groups import ChapterGroups, Joint
from daemon.inbox.chapter_names import chapter_name
from daemon.inbox.inbox import Inbox
from daemon.inbox.scanner import Found
from daemon.inbox.stability import Signature
from daemon.jobs import claim as claims
from daemon.jobs import recovery
from daemon.jobs.delivery import Delivery
from daemon.jobs.fault_policy import FaultPolicy
from daemon.jobs.job import Job, load_job
from daemon.jobs.manifest import JobState
from daemon.share.rename import FileMark
from daemon.share.share import Share
from tests.support.share import LEASE, candidate, drop, finished, make_share, settings_for, tree

QUIET_S = 60.0
GOPRO = ("GX010001.MP4", "GX020001.MP4", "GX030001.MP4")


@pytest.mark.parametrize(
    "names",
    [
        GOPRO,
        ("GOPR0123.MP4", "GP010123.MP4", "GP020123.MP4"),
        ("gh010123.mp4", "GH020123.MP4"),
        ("00000.MTS", "00001.MTS", "00002.mts"),
        ("C0001.MP4", "C0002.MP4"),
        ("DJI_0009.MP4", "DJI_0010.MP4"),
        ("DJI_20260102030405_0001_D.MP4", "DJI_20260102031405_0002_D.MP4"),
        ("ZOOM0001.MOV", "ZOOM0001_0001.MOV"),
        ("zoom_0.mp4", "zoom_1.mp4"),
        ("VTS_01_1.VOB", "VTS_01_2.VOB"),
    ],
)
def test_names_of_one_recording_count_on(names: tuple[str, ...]) -> None:
    parsed = [chapter_name(f"card/{name}") for name in names]
    for before, after in pairwise(parsed):
        assert before is not None
        assert after is not None
        assert after.follows(before)


@pytest.mark.parametrize("name", ["interview.mp4", "GX01.MP4", "0000.MTS", "C0001S03.MP4", "zoom.mp4", "GL010001.LRV"])
def test_other_names_are_no_parts(name: str) -> None:
    assert chapter_name(name) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GX010001.MP4", "GX020002.MP4"),
        ("GX010001.MP4", "GH020001.MP4"),
        ("GX010001.MP4", "GX030001.MP4"),
        ("a/00000.MTS", "b/00001.MTS"),
        ("C0001.MP4", "00002.MTS"),
    ],
)
def test_names_of_two_recordings_do_not_follow(one: str, other: str) -> None:
    first, second = chapter_name(one), chapter_name(other)
    assert first is not None
    assert second is not None
    assert not second.follows(first)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def found(name: str, size: int = 1) -> Found:
    return Found(name, Signature(size, 2, 3))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def groups(clock: Clock) -> ChapterGroups:
    return ChapterGroups(QUIET_S, clock, joins=True)


def settle(groups: ChapterGroups, *names: str) -> None:
    for name in names:
        groups.see(found(name), settled=True)


def decide(groups: ChapterGroups, verdict: Callable[[Joint], bool]) -> None:
    for joint in list(groups.open_joints()):
        groups.decide(joint, follows=verdict(joint))


def run(groups: ChapterGroups, name: str) -> list[str] | None:
    parts = groups.run(name)
    return None if parts is None else [part.relative for part in parts]


def test_files_of_other_names_never_wait(groups: ChapterGroups) -> None:
    settle(groups, "interview.mp4")
    assert run(groups, "interview.mp4") == []
    assert groups.waiting() == {}


def test_a_part_waits_for_the_next_one_until_nothing_more_has_come(groups: ChapterGroups, clock: Clock) -> None:
    settle(groups, GOPRO[0])
    assert run(groups, GOPRO[0]) is None
    assert set(groups.waiting()) == {GOPRO[0]}
    clock.now += QUIET_S - 1
    groups.see(found("GX010002.MP4"), settled=False)  # the GPU is still being copied
    clock.now += QUIET_S - 1
    assert run(groups, GOPRO[0]) is None
    clock.now += 1
    assert run(groups, GOPRO[0]) == [GOPRO[0]]


def test_parts_that_follow_each_other_go_together(groups: ChapterGroups, clock: Clock) -> None:
    settle(groups, *GOPRO)
    clock.now += QUIET_S
    assert run(groups, GOPRO[0]) is None, "it is not known yet"
    decide(groups, lambda _: True)
    assert run(groups, GOPRO[0]) == list(GOPRO)
    assert [run(groups, name) for name in GOPRO[1:]] == [None, None]
    assert groups.waiting() == {}


def test_a_number_that_only_counts_on_is_a_recording_of_its_own(groups: ChapterGroups, clock: Clock) -> None:
    settle(groups, "00000.MTS", "00001.MTS", "00002.MTS")
    decide(groups, lambda joint: joint.second.relative == "00002.MTS")
    assert run(groups, "00000.MTS") == ["00000.MTS"], "what follows is there, so that nothing has to be waited for"
    assert run(groups, "00001.MTS") is None
    clock.now += QUIET_S
    assert run(groups, "00001.MTS") == ["00001.MTS", "00002.MTS"]
    groups.forget("00000.MTS")
    assert run(groups, "00001.MTS") is None, "another host may be taking them now"
    clock.now += QUIET_S
    assert run(groups, "00001.MTS") == ["00001.MTS", "00002.MTS"]


def test_a_file_that_changes_is_compared_anew(groups: ChapterGroups, clock: Clock) -> None:
    settle(groups, *GOPRO[:2])
    decide(groups, lambda _: False)
    groups.see(found(GOPRO[1], size=2), settled=False)
    assert list(groups.open_joints()) == []
    groups.see(found(GOPRO[1], size=2), settled=True)
    assert len(list(groups.open_joints())) == 1
    clock.now += QUIET_S
    assert run(groups, GOPRO[0]) is None


def test_of_two_files_with_one_number_each_gets_done(groups: ChapterGroups, clock: Clock) -> None:
    settle(groups, "GX010001.MP4", "gx010001.mp4")
    clock.now += QUIET_S
    assert (run(groups, "GX010001.MP4"), run(groups, "gx010001.mp4")) == (["GX010001.MP4"], [])


def test_nothing_waits_where_nothing_is_to_be_joined(clock: Clock) -> None:
    groups = ChapterGroups(QUIET_S, clock, joins=False)
    settle(groups, *GOPRO)
    assert [run(groups, name) for name in GOPRO] == [[], [], []]


def test_the_inbox_offers_them_as_one_and_those_with_a_sidecar_alone(tmp_path: Path, clock: Clock) -> None:
    settings = Settings()
    settle_settings = SettleSettings(polls=2, chapters_s=1)
    inbox = Inbox(settings.inboxes[0], tmp_path, settings.scan, settle_settings, quiet_s=1, clock=clock)
    for name in GOPRO:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "GX030001.dualface.yaml").write_text("swap: true")

    def scan() -> None:
        for _ in range(6):
            inbox.advance(10)
            clock.now += 2

    scan()
    assert inbox.oldest() is None
    assert set(inbox.unfinished) == {GOPRO[0]}
    while joint := inbox.open_joint():
        inbox.decide(joint, follows=True)
    first = inbox.oldest()
    assert first is not None
    assert [first.relative, *(part.relative for part in first.parts)] == list(GOPRO[:2])
    for name in GOPRO[:2]:
        (tmp_path / name).unlink()
    scan()
    last = inbox.oldest()
    assert last is not None
    assert (last.relative, last.parts, last.sidecar is not None) == (GOPRO[2], (), True)


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


def group(share: Share) -> Candidate:
    for name in GOPRO:
        drop(share, f"card/{name}", name.encode())
    first, *others = (candidate(share, f"card/{name}") for name in GOPRO)
    return replace(first, parts=tuple(one.found for one in others))


def claimed(share: Share) -> Job:
    job = claims.claim(share, group(share), share.inboxes[0], LEASE)
    assert job is not None
    return job


def contents(job: Job) -> list[str]:
    return [path.read_bytes().decode() for path in job.recordings]


def test_a_claim_takes_all_of_them(share: Share) -> None:
    job = claimed(share)
    assert contents(load_job(job.folder)) == list(GOPRO)
    assert tree(share.inboxes[0]) == set()


def test_a_claim_that_was_interrupted_takes_the_others_later(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(claims, "complete", crash)
        claimed(share)
    (folder,) = share.jobs.iterdir()
    assert tree(share.inboxes[0]) == {f"card/{name}" for name in GOPRO[1:]}
    job = recovery.adopt(share, folder, LEASE, policy=FaultPolicy(3))
    assert job is not None
    assert job.manifest.state is JobState.SETTLING
    assert contents(job) == list(GOPRO)


def test_a_claim_ends_before_a_part_that_has_gone(share: Share) -> None:
    chosen = group(share)
    (share.inboxes[0] / "card" / GOPRO[1]).unlink()
    job = claims.claim(share, chosen, share.inboxes[0], LEASE)
    assert job is not None
    assert contents(job) == [GOPRO[0]]
    assert tree(share.inboxes[0]) == {f"card/{GOPRO[2]}"}


def test_a_part_that_is_lost_or_without_its_record_is_explained(share: Share) -> None:
    job = claimed(share)
    job.parts[0].unlink()
    adopted = recovery.adopt(share, job.folder, LEASE, policy=FaultPolicy(3))
    assert adopted is not None
    assert adopted.manifest.error is not None
    assert adopted.manifest.error["code"] == "SOURCE_GONE"
    (job.folder / "job.json").write_bytes(b"damaged")
    job.source.unlink()
    rescued = recovery.adopt(share, job.folder, LEASE, policy=FaultPolicy(3))
    assert rescued is not None
    Delivery(share).fail(rescued, lambda: {})
    assert GOPRO[2] in {path.read_text() for path in share.failed.iterdir()}


def test_a_written_part_is_noticed(share: Share) -> None:
    job = claimed(share)
    job.manifest.part_marks = []
    assert not job.is_altered()
    job.manifest.source = FileMark.of(job.source)
    job.manifest.part_marks = [mark for path in job.parts if (mark := FileMark.of(path))]
    assert not job.is_altered()
    job.parts[1].write_bytes(b"more than before")
    assert job.is_altered()
    job.start_over()
    assert len(contents(job)) == 3


def test_originals_get_one_number_for_all_of_them(share: Share) -> None:
    (share.originals / "card").mkdir(parents=True)
    (share.originals / "card" / GOPRO[1]).write_bytes(b"another's")
    done = finished(share, "x.mp4")
    job = claimed(share)
    job.manifest.result, job.manifest.state = done.manifest.result, JobState.DELIVERING
    for path in done.folder.glob("*.*"):
        if path.name != "job.json":
            path.rename(job.folder / path.name)
    Delivery(share).deliver(job)
    assert tree(share.originals) == {f"card/{GOPRO[1]}", *(f"card/{name[:-4]}-2.MP4" for name in GOPRO)}
    job.remove()


def test_failed_parts_stay_together_and_go_back_together(share: Share) -> None:
    (share.failed / "card").mkdir(parents=True)
    (share.failed / "card" / GOPRO[0]).write_bytes(b"another's")
    job = claimed(share)
    paths = [f"inbox/card/{name}" for name in GOPRO]
    Delivery(share).fail(job, lambda: {"input": {"path": paths[0], "parts": paths}, "error": {"message": "no"}})
    named = {f"card/{name[:-4]}-2.MP4" for name in GOPRO}
    assert tree(share.failed) == {f"card/{GOPRO[0]}", "card/GX010001-2.report.json", *named}
    files = failed_files(share)
    assert [str(file.relative) for file in files] == ["card/GX010001-2.MP4", f"card/{GOPRO[0]}"]
    requeue(share, settings_for(share.root), choose(files, "GX010001-2"))
    assert tree(share.inboxes[0]) == {f"card/{name}" for name in GOPRO}
    assert tree(share.failed) == {f"card/{GOPRO[0]}"}


@pytest.mark.parametrize("part", ["../x.mp4", "/etc/passwd", "other/x.mp4", "", 7])
def test_a_record_whose_parts_lead_elsewhere_is_not_believed(share: Share, part: object) -> None:
    job = claimed(share)
    body = json.loads((job.folder / "job.json").read_bytes())
    (job.folder / "job.json").write_text(json.dumps({**body, "parts": [part]}))
    with pytest.raises(ValueError, match=r"no part|no name"):
        load_job(job.folder)
