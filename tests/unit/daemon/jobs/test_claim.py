"""Claiming: exactly one host wins, only regular files are taken, and no work starts while a program writes."""

from __future__ import annotations

import errno
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.inbox.candidate import Candidate
from daemon.inbox.open_writers import is_being_written
from daemon.inbox.scanner import Found, Walk
from daemon.inbox.stability import Signature
from daemon.jobs import claim as claims
from daemon.jobs.claim import is_quiet
from daemon.jobs.job import job_folders, load_job
from daemon.jobs.manifest import JobState
from daemon.share.leases import read
from daemon.share.share import Share
from pipeline.errors import DiskFullError
from tests.support.share import LEASE, candidate, claimed, drop, make_share, small_disk, tree


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "x.mp4",
        "a/b/인터뷰 1.mov",
        "new\nline.mp4",
        os.fsdecode(b"\xff.mp4"),
        "n" * 251 + ".mp4",
    ],
)
def test_claim_moves_the_file_and_remembers_where_it_was(share: Share, name: str) -> None:
    job = claimed(share, name, b"content")
    assert job.source.read_bytes() == b"content"
    assert not (share.inboxes[0] / name).exists()
    again = load_job(job.folder)
    assert (again.manifest.inbox, again.manifest.relative, again.manifest.state) == ("inbox", name, JobState.SETTLING)
    assert read(job.folder) == LEASE


def test_a_file_that_has_gone_is_no_job(share: Share) -> None:
    path = drop(share, "x.mp4")
    chosen = candidate(share, "x.mp4")
    path.unlink()
    assert claims.claim(share, chosen, share.inboxes[0], LEASE) is None
    assert list(job_folders(share.jobs)) == []


def test_busy_file_stays_where_it_is(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(share, "x.mp4")

    def busy(*args: object) -> bool:
        raise OSError(errno.EBUSY, "text file busy")

    monkeypatch.setattr(claims, "_take", busy)
    with pytest.raises(OSError, match="busy"):
        claims.claim(share, candidate(share, "x.mp4"), share.inboxes[0], LEASE)
    assert (share.inboxes[0] / "x.mp4").exists()
    assert list(job_folders(share.jobs)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_without_room_for_the_job_is_reported_as_full(tmp_path: Path) -> None:
    with small_disk(tmp_path, names=20):
        share = make_share(tmp_path)
        drop(share, "x.mp4")
        chosen = candidate(share, "x.mp4")
        with pytest.raises(OSError, match="No space"):
            for number in range(20):
                (tmp_path / str(number)).mkdir()
        with pytest.raises(DiskFullError):
            claims.claim(share, chosen, share.inboxes[0], LEASE)
        assert tree(share.inboxes[0]) == {"x.mp4"}


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO, errno.ETIMEDOUT])
def test_a_rename_whose_reply_is_lost_counts_as_success(
    share: Share, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The server renames the file, but its reply does not arrive."""
    drop(share, "x.mp4", b"content")
    rename = os.rename

    def lost(*args: Any, **options: Any) -> None:
        rename(*args, **options)
        raise OSError(number, "no reply")

    chosen = candidate(share, "x.mp4")
    monkeypatch.setattr(claims.os, "rename", lost)
    job = claims.claim(share, chosen, share.inboxes[0], LEASE)
    assert job is not None
    assert job.source.read_bytes() == b"content"


def test_a_claim_whose_end_is_unknown_loses_nothing(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rename has happened, but the share answers no question any more."""
    drop(share, "x.mp4", b"content")
    chosen, take = candidate(share, "x.mp4"), claims._take

    def silent(*args: Any) -> bool:
        take(*args)
        raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(claims, "_take", silent)
    with pytest.raises(OSError, match="no answer"):
        claims.claim(share, chosen, share.inboxes[0], LEASE)
    (folder,) = job_folders(share.jobs)
    assert load_job(folder).source.read_bytes() == b"content"


@pytest.mark.parametrize("trick", ["link", "folder", "fifo"])
def test_what_took_the_place_of_the_file_is_put_back(share: Share, trick: str, tmp_path: Path) -> None:
    path = drop(share, "x.mp4")
    chosen = candidate(share, "x.mp4")
    path.unlink()
    if trick == "link":
        path.symlink_to("/etc/passwd")
    elif trick == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert claims.claim(share, chosen, share.inboxes[0], LEASE) is None
    assert os.path.lexists(path)
    assert list(job_folders(share.jobs)) == []


def test_a_folder_that_became_a_link_is_not_followed(share: Share, tmp_path: Path) -> None:
    path = drop(share, "a/x.mp4")
    chosen = candidate(share, "a/x.mp4")
    path.unlink()
    path.parent.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.mp4").write_text("private")
    path.parent.symlink_to(elsewhere)
    with pytest.raises(OSError):
        claims.claim(share, chosen, share.inboxes[0], LEASE)
    assert (elsewhere / "x.mp4").read_text() == "private"


def _take_all(share: Share, chosen: list[Candidate], wins: Any) -> None:
    wins.put([c.relative for c in chosen if claims.claim(share, c, share.inboxes[0], LEASE)])


def test_of_many_takers_one_wins_each_file(share: Share) -> None:
    names = [f"{number}.mp4" for number in range(40)]
    for name in names:
        drop(share, name)
    chosen = [candidate(share, name) for name in names]
    context = multiprocessing.get_context("fork")
    wins = context.Queue()
    takers = [context.Process(target=_take_all, args=(share, chosen, wins)) for _ in range(3)]
    for taker in takers:
        taker.start()
    won = [name for _ in takers for name in wins.get(timeout=60)]
    for taker in takers:
        taker.join()
    assert sorted(won) == sorted(names)
    assert len(list(job_folders(share.jobs))) == len(names)


def with_sidecar(share: Share, content: bytes = b"swap: true\n") -> Candidate:
    drop(share, "a/x.mp4")
    drop(share, "a/x.dualface.yaml", content)
    return candidate(share, "a/x.mp4")


def test_a_sidecar_is_claimed_with_its_recording(share: Share) -> None:
    job = claims.claim(share, with_sidecar(share), share.inboxes[0], LEASE)
    assert job is not None
    assert job.sidecar.read_bytes() == b"swap: true\n"
    assert load_job(job.folder).manifest.sidecar
    assert job.inputs == [job.source, job.sidecar]
    assert tree(share.inboxes[0]) == set()


def test_a_sidecar_that_goes_at_the_last_moment_is_no_error(share: Share) -> None:
    chosen = with_sidecar(share)
    (share.inboxes[0] / "a/x.dualface.yaml").unlink()
    job = claims.claim(share, chosen, share.inboxes[0], LEASE)
    assert job is not None
    assert not load_job(job.folder).manifest.sidecar


def test_a_sidecar_that_no_scan_has_seen_settled_is_waited_for(share: Share) -> None:
    drop(share, "x.mp4")
    chosen = candidate(share, "x.mp4")
    sidecar = drop(share, "x.dualface.yaml")
    with pytest.raises(BlockingIOError, match="sidecar"):
        claims.claim(share, chosen, share.inboxes[0], LEASE)
    settled = candidate(share, "x.mp4")
    sidecar.write_text("changed: since then")
    with pytest.raises(BlockingIOError, match="sidecar"):
        claims.claim(share, settled, share.inboxes[0], LEASE)
    assert tree(share.inboxes[0]) == {"x.mp4", "x.dualface.yaml"}
    assert list(job_folders(share.jobs)) == []


@pytest.mark.parametrize("trick", ["link", "folder", "fifo"])
@pytest.mark.parametrize("when", ["before the scan", "before the claim", "during the claim"])
def test_a_sidecar_that_is_no_regular_file_stays_and_is_named(
    share: Share, trick: str, when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = with_sidecar(share)
    beside = share.inboxes[0] / "a/x.dualface.yaml"
    secret = tmp_path / "secret"
    secret.write_text("swap: true")
    beside.unlink()
    {"link": lambda: beside.symlink_to(secret), "folder": beside.mkdir, "fifo": lambda: os.mkfifo(beside)}[trick]()
    if when == "before the claim":
        with pytest.raises(BlockingIOError, match="sidecar"):
            claims.claim(share, replace(chosen, sidecar=None), share.inboxes[0], LEASE)
        return
    if when == "before the scan":
        (seen,) = (entry for entry in Walk(share.inboxes[0], ("mp4",)) if isinstance(entry, Found) and entry.fault)
        chosen = replace(chosen, sidecar=seen)
    else:
        monkeypatch.setattr(claims, "_check_sidecar", lambda *_: None)
    job = claims.claim(share, chosen, share.inboxes[0], LEASE)
    assert job is not None
    assert not job.manifest.sidecar
    assert job.manifest.sidecar_fault.startswith("x.dualface.yaml is ")
    assert not os.path.lexists(job.sidecar)
    assert os.path.lexists(beside)


def test_an_open_writer_is_noticed(share: Share) -> None:
    job = claimed(share, "x.mp4")
    signature = Signature.of(job.source.lstat())
    assert is_quiet(job.source, signature)
    with job.source.open("ab"):
        assert not is_quiet(job.source, signature)
    with job.source.open("rb"):
        assert is_quiet(job.source, signature)
    with job.source.open("ab") as file:
        file.write(b"more")
    assert not is_quiet(job.source, signature)


def test_writers_are_found_by_their_descriptors_where_the_kernel_gives_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"x")

    def refused(*args: object) -> int:
        raise PermissionError(errno.EACCES, "not your file")

    monkeypatch.setattr("daemon.inbox.open_writers.fcntl.fcntl", refused)
    assert not is_being_written(path)
    with path.open("rb"):
        assert not is_being_written(path)
    with path.open("ab"):
        assert is_being_written(path)
