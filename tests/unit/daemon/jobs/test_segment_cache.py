"""The segment cache: entries are renamed in and out, one job gets an entry, and a crash costs at most the entry."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from daemon.config.settings import RetentionSettings
from daemon.jobs.job import Job, load_job
from daemon.jobs.manifest import JobState
from daemon.jobs.segment_cache import SegmentCache, key_of
from daemon.layout import LOCK_FILE
from daemon.share.share import Share
from tests.support.share import claimed, make_share


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


def cache_of(share: Share, days: float = 7) -> SegmentCache:
    return SegmentCache(share, RetentionSettings(state_days=days), Clock())


def begun(share: Share, content: bytes = b"recording") -> Job:
    job = claimed(share, "x.mp4", content)
    job.manifest.key = key_of(job.source)
    return job


def done(share: Share, content: bytes = b"recording", segment: str = "a segment") -> Job:
    job = begun(share, content)
    (job.folder / "segments").mkdir()
    (job.folder / "segments" / "000000").write_text(segment)
    (job.folder / "checkpoint.json").write_text(f"names {segment}")
    for name in ("output.mp4", LOCK_FILE):
        (job.folder / name).write_text("not needed")
    job.source.unlink()
    job.save(JobState.DONE)
    return job


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_next_job_with_the_same_content_gets_the_entry(share: Share) -> None:
    cache = cache_of(share)
    cache.store(done(share))
    assert names(share.jobs) == set()
    other, same, late = begun(share, b"another"), begun(share), begun(share)
    for job in (other, same, late):
        cache.restore(job)
    assert names(same.folder) == {"source", "job.json", "lease.json", "segments", "checkpoint.json"}
    assert (same.folder / "segments" / "000000").read_text() == "a segment"
    assert names(other.folder) == names(late.folder) == {"source", "job.json", "lease.json"}
    assert names(share.finished) == set()


def test_unfinished_files_of_a_worker_are_not_stored(share: Share) -> None:
    job = done(share)
    (job.folder / "segments" / "000001.h264.part").write_text("half")
    cache_of(share).store(job)
    assert {path.name for path in share.state.rglob("segments/*")} == {"000000"}


def test_the_newest_entry_of_a_source_replaces_an_older_one(share: Share) -> None:
    cache = cache_of(share)
    cache.store(done(share, segment="old"))
    cache.store(done(share, segment="new"))
    assert len(names(share.finished)) == 1
    job = begun(share)
    cache.restore(job)
    assert (job.folder / "checkpoint.json").read_text() == "names new"


def test_a_job_with_a_checkpoint_of_its_own_keeps_it(share: Share) -> None:
    cache = cache_of(share)
    cache.store(done(share))
    job = begun(share)
    (job.folder / "checkpoint.json").write_text("own")
    cache.restore(job)
    assert (job.folder / "checkpoint.json").read_text() == "own"
    assert len(names(share.finished)) == 1


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_crash_during_a_restore(share: Share, moved: int) -> None:
    cache = cache_of(share)
    cache.store(done(share))
    job = begun(share)
    (share.finished / job.manifest.key).rename(job.folder / "kept")
    for name in ("segments", "checkpoint.json")[:moved]:
        (job.folder / "kept" / name).rename(job.folder / name)
    if not moved:
        (job.folder / "segments").mkdir()  # of an attempt that has come to nothing
        (job.folder / "segments" / "stale.part").write_text("")
    cache.restore(job)
    assert names(job.folder) == {"source", "job.json", "lease.json", "segments", "checkpoint.json"}
    assert names(job.folder / "segments") == {"000000"}


def failed(job: Job) -> Job:
    job.manifest.error = {"code": "WORKER_DIED"}
    return job


def test_the_entry_of_a_failed_job_is_used_once_more(share: Share) -> None:
    cache = cache_of(share)
    cache.store(failed(done(share)))
    again = begun(share)
    cache.restore(again)
    assert (again.folder / "segments" / "000000").read_text() == "a segment"
    again.source.unlink()
    cache.store(failed(again))
    assert names(share.finished) == set()


def test_success_resets_the_mark_of_a_failed_job(share: Share) -> None:
    cache = cache_of(share)
    cache.store(failed(done(share)))
    for outcome in (lambda job: job, failed):
        job = begun(share)
        cache.restore(job)
        job.source.unlink()
        cache.store(outcome(job))
    assert len(names(share.finished)) == 1


def test_an_entry_that_was_restored_in_part_is_stored_when_the_job_fails(share: Share) -> None:
    cache = cache_of(share)
    cache.store(done(share))
    job = begun(share)
    (share.finished / job.manifest.key).rename(job.folder / "kept")
    job.source.unlink()
    cache.store(failed(job))
    assert names(share.finished / job.manifest.key) >= {"segments", "checkpoint.json"}


def test_without_retention_or_checkpoint_nothing_is_stored(share: Share) -> None:
    cache_of(share, days=0).store(done(share))
    begun_only = begun(share)
    begun_only.source.unlink()
    cache_of(share).store(begun_only)
    assert names(share.finished) == names(share.jobs) == set()


def test_a_manifest_in_an_entry_is_ignored(share: Share) -> None:
    """The service died between the rename and the removal of files that an entry does not need."""
    cache = cache_of(share)
    job = done(share)
    cache.store(job)
    (share.finished / job.manifest.key / "job.json").write_text("{}")
    later = begun(share)
    cache.restore(later)
    assert load_job(later.folder).id == later.id


def test_expired_and_half_removed_entries_are_removed(share: Share) -> None:
    cache_of(share).store(done(share))
    (share.finished / ".gone.1234").mkdir()
    cache_of(share, days=1).sweep()
    assert len(names(share.finished)) == 1
    time.sleep(0.02)
    cache_of(share, days=0.01 / 86400).sweep()
    assert names(share.finished) == set()


def test_the_oldest_entry_is_removed_when_space_is_low(share: Share) -> None:
    cache = cache_of(share)
    for content in (b"first", b"second"):
        cache.store(done(share, content))
        time.sleep(0.02)
    second = begun(share, b"second").manifest.key
    assert cache.free_space()
    assert names(share.finished) == {second}
    assert cache.free_space()
    assert not cache.free_space()


def test_the_key_depends_on_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    content = bytearray(os.urandom(400_000))
    path.write_bytes(content)
    first = key_of(path)
    for at in (0, 180_000, 399_999):
        content[at] ^= 1
        path.write_bytes(content)
        assert key_of(path) != first
        content[at] ^= 1
    path.write_bytes(content)
    assert key_of(path) == first
    path.write_bytes(b"")
    assert key_of(path).startswith("0-")
