"""Recovery of job directories in every state that a crash can leave them in."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import LeaseLostError, ShareUnusableError
from daemon.jobs.delivery import Delivery
from daemon.jobs.fault_policy import FaultPolicy
from daemon.jobs.job import Job, job_folders, load_job
from daemon.jobs.manifest import JobState
from daemon.jobs.recovery import adopt
from daemon.layout import LOCK_FILE, MANIFEST
from daemon.share.leases import Lease, LeaseWatch, confirm, only_service_of_host, read, renew, take_over, write
from daemon.share.rename import FileMark
from daemon.share.share import Share
from tests.support.share import LEASE, claimed, drop, finished, make_share, tree

POLICY = FaultPolicy(3)
MINE = Lease("this-host", 2, "later boot")


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return make_share(tmp_path)


def in_state(share: Share, state: JobState) -> Job:
    job = claimed(share, "x.mp4")
    job.save(state)
    return job


def test_claim_without_its_source_is_removed(share: Share) -> None:
    job = in_state(share, JobState.CLAIMING)
    job.source.unlink()
    assert adopt(share, job.folder, MINE, policy=POLICY) is None
    assert not job.folder.exists()


def test_claim_with_its_source_goes_on(share: Share) -> None:
    job = adopt(share, in_state(share, JobState.CLAIMING).folder, MINE, policy=POLICY)
    assert job is not None
    assert job.manifest.state is JobState.SETTLING
    assert read(job.folder) == MINE


@pytest.mark.parametrize("taken", [False, True])
def test_claim_goes_on_with_its_sidecar(share: Share, taken: bool) -> None:
    """The service died after it had claimed the recording, before or after it took the sidecar."""
    before = in_state(share, JobState.CLAIMING)
    before.manifest.sidecar = True
    before.save()
    if taken:
        before.sidecar.write_text("swap: true")
    drop(share, "x.dualface.yaml", b"swap: false" if taken else b"swap: true")
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert job.manifest.state is JobState.SETTLING
    assert job.sidecar.read_text() == "swap: true"
    assert tree(share.inboxes[0]) == ({"x.dualface.yaml"} if taken else set()), "a newer one is not ours"


def test_claim_whose_folder_and_sidecar_have_gone_goes_on(share: Share) -> None:
    before = claimed(share, "a/x.mp4")
    before.manifest.sidecar = True
    before.save(JobState.CLAIMING)
    (share.inboxes[0] / "a").rmdir()
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert (job.manifest.state, job.manifest.sidecar) == (JobState.SETTLING, False)


def test_work_in_progress_is_queued_again(share: Share) -> None:
    job = adopt(share, in_state(share, JobState.WORKING).folder, MINE, policy=POLICY)
    assert job is not None
    assert (job.manifest.state, job.manifest.interruptions) == (JobState.QUEUED, 1)


def test_a_checkpoint_since_then_counts_as_progress(share: Share) -> None:
    before = in_state(share, JobState.WORKING)
    before.manifest.consecutive_failures = before.manifest.interruptions = 2
    before.save()
    (before.folder / "checkpoint.json").write_text("{}")
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert (job.manifest.consecutive_failures, job.manifest.interruptions) == (0, 1)


@pytest.mark.parametrize("state", [JobState.DELIVERING, JobState.FAILING, JobState.SETTLING, JobState.QUEUED])
def test_other_states_are_kept(share: Share, state: JobState) -> None:
    job = adopt(share, in_state(share, state).folder, MINE, policy=POLICY)
    assert job is not None
    assert job.manifest.state is state


def test_done_is_removed(share: Share) -> None:
    job = in_state(share, JobState.DONE)
    job.source.unlink()
    assert adopt(share, job.folder, MINE, policy=POLICY) is None
    assert not job.folder.exists()


@pytest.mark.parametrize("error", [None, {"code": "TRUNCATED"}])
def test_a_done_job_whose_source_is_still_there_is_reopened(share: Share, error: dict[str, str] | None) -> None:
    """The share was away when the service looked for the source, which therefore seemed to have gone."""
    before = in_state(share, JobState.DONE)
    before.manifest.error = error
    before.save()
    with pytest.raises(OSError, match="not empty"):
        before.remove()
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert job.manifest.state is (JobState.FAILING if error else JobState.DELIVERING)
    assert job.source.exists()


def test_a_source_that_has_gone_is_explained(share: Share) -> None:
    before = in_state(share, JobState.QUEUED)
    before.source.unlink()
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert job.manifest.error is not None
    assert job.manifest.error["code"] == "SOURCE_GONE"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 99}', b'{"format": 1, "job": "x"}', None])
def test_a_source_without_a_readable_manifest_is_not_lost(share: Share, damage: bytes | None) -> None:
    before = claimed(share, "x.mp4")
    if damage is None:
        (before.folder / MANIFEST).unlink()
    else:
        (before.folder / MANIFEST).write_bytes(damage)
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert (job.manifest.state, job.source_name) == (JobState.FAILING, before.id)
    assert load_job(job.folder).manifest.error == job.manifest.error


def move(target: str, name: str = "source") -> dict[str, Any]:
    return {"kind": "source", "name": name, "target": target, "mark": {"inode": 1, "size": 1, "mtime_ns": 1}}


@pytest.mark.parametrize(
    "fields",
    [
        {"relative": "../../../../elsewhere/x.mp4"},
        {"relative": "/elsewhere/x.mp4"},
        {"relative": ".."},
        {"relative": ""},
        {"inbox": "../elsewhere"},
        {"inbox": "/elsewhere"},
        {"key": "../../originals"},
        {"key": "/elsewhere"},
        {"key": ".."},
        {"publish": [move("/elsewhere/x.mp4")]},
        {"publish": [move("outbox/../../elsewhere/x.mp4")]},
        {"publish": [move("outbox/link/x.mp4")]},
        {"publish": [move("outbox/x.mp4", name="../other/source")]},
        {"retire": [move("elsewhere/x.mp4")]},
        {"retire": [move("originals/..")]},
        {"retire": [move("originals/x.mp4", name="/elsewhere/secret")]},
        {"result": {"files": {"video": "../../../elsewhere/secret"}}},
        {"result": {"files": ["video"]}},
        {"job": "another"},
        {"strikes": "many"},
        {"priority": None},
        {"relative": 5},
        {"error": "no table"},
    ],
    ids=str,
)
def test_a_manifest_that_leads_out_of_the_share_is_not_followed(share: Share, fields: dict[str, Any]) -> None:
    """Anybody who can write to the share can write one. The file itself goes to failed, as with a damaged one."""
    before = claimed(share, "x.mp4", b"content")
    elsewhere = share.root.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "secret").write_text("private")
    (share.outbox / "link").symlink_to(elsewhere)
    path = before.folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "state": "delivering", **fields}))
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert (job.manifest.state, job.source_name) == (JobState.FAILING, before.id)
    assert job.manifest.error is not None
    assert job.manifest.error["code"] == "RECORD_LOST"
    assert Delivery(share).fail(job, dict) == f"failed/{before.id}.report.json"
    assert (share.failed / before.id).read_bytes() == b"content"
    assert [path.name for path in elsewhere.iterdir()] == ["secret"]


def test_a_manifest_that_the_service_has_written_is_accepted(share: Share) -> None:
    """Even if the name is not UTF-8, in a subfolder, with decided moves, and after a takeover."""
    before = finished(share, os.fsdecode(b"a/b\xff/x.mp4"))
    before.manifest.key = "123-0123456789abcdef"
    Delivery(share).deliver(before)
    assert len(before.manifest.publish) == 4
    assert load_job(before.folder).manifest == before.manifest
    taken = take_over(before.folder)
    assert taken is not None
    assert load_job(taken).manifest == before.manifest


@pytest.mark.parametrize("name", [MANIFEST, "lease.json", "source"])
@pytest.mark.parametrize("trick", ["fifo", "link"])
def test_pipes_and_links_in_a_job_directory_do_not_block_recovery(
    share: Share, name: str, trick: str, tmp_path: Path
) -> None:
    """To open a pipe without a writer would block for ever; a link would show files from elsewhere."""
    before = claimed(share, "x.mp4")
    (tmp_path / "secret").write_text("private")
    (before.folder / name).unlink()
    if trick == "fifo":
        os.mkfifo(before.folder / name)
    else:
        (before.folder / name).symlink_to(tmp_path / "secret")
    assert name != "lease.json" or read(before.folder) is None
    job = adopt(share, before.folder, MINE, policy=POLICY)
    assert job is not None
    assert job.manifest.state is (JobState.SETTLING if name == "lease.json" else JobState.FAILING)
    assert (tmp_path / "secret").read_text() == "private"


def test_an_empty_directory_is_removed(share: Share) -> None:
    (share.jobs / "20260101-000000-00000000").mkdir()
    assert adopt(share, share.jobs / "20260101-000000-00000000", MINE, policy=POLICY) is None
    assert list(job_folders(share.jobs)) == []


def test_lease_expires_only_by_standing_still_before_the_observer(share: Share) -> None:
    times = iter([0.0, 9.0, 18.0, 27.0, 36.9, 37.0])
    watch = LeaseWatch(expire_s=10, clock=lambda: next(times))
    lease = LEASE
    for _ in range(4):
        lease = lease.renewed()
        assert not watch.expired("job", lease)
    assert not watch.expired("job", lease)
    assert watch.expired("job", lease)


def test_takeover_has_one_winner_and_fences_the_former_owner(share: Share) -> None:
    job = claimed(share, "x.mp4")
    taken = take_over(job.folder)
    assert taken is not None
    assert take_over(job.folder) is None
    with pytest.raises(LeaseLostError):
        write(job.folder, LEASE.renewed())
    assert load_job(taken).manifest.job == job.id
    assert take_over(taken) == taken.with_name(f"{job.id}~3")


def test_the_lock_of_a_host_that_stands_still_does_not_hold_up_its_successor(share: Share) -> None:
    job = claimed(share, "x.mp4")
    with (job.folder / LOCK_FILE).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = take_over(job.folder)
        assert taken is not None
        with (taken / LOCK_FILE).open("a") as own:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_former_owner_is_fenced_even_where_it_finds_the_directory(share: Share) -> None:
    """A network file system may lead it into the renamed directory by a remembered handle."""
    job = claimed(share, "x.mp4")
    confirm(job.folder, LEASE.renewed())
    renew(job.folder, LEASE.renewed())
    assert adopt(share, job.folder, MINE, policy=POLICY) is not None
    for act in (confirm, renew):
        with pytest.raises(LeaseLostError, match="this-host"):
            act(job.folder, LEASE.renewed())
    assert read(job.folder) == MINE


def test_a_damaged_lease_belongs_to_no_other_host(share: Share) -> None:
    job = claimed(share, "x.mp4")
    (job.folder / "lease.json").write_text("")
    renew(job.folder, LEASE)
    assert read(job.folder) == LEASE


def test_unfinished_files_of_a_former_worker_are_removed(share: Share) -> None:
    job = claimed(share, "x.mp4")
    (job.folder / "segments").mkdir()
    part = job.folder / "segments" / "000003.h264.part"
    with part.open("wb") as former:
        assert adopt(share, job.folder, MINE, policy=POLICY) is not None
        assert not part.exists()
        part.write_bytes(b"ours")
        former.write(b"theirs")
    assert part.read_bytes() == b"ours"


def test_one_service_per_host(share: Share) -> None:
    with (
        only_service_of_host(share.hosts, "h"),
        pytest.raises(ShareUnusableError, match="already works"),
        only_service_of_host(share.hosts, "h"),
    ):
        pass
    with only_service_of_host(share.hosts, "h"):
        pass


def test_a_job_whose_source_was_written_to_starts_over(share: Share) -> None:
    """A copy that had stalled for longer than the time to settle goes on, through its open file."""
    job = finished(share, "x.mp4")
    job.manifest.consecutive_failures = 2
    assert not job.is_altered()
    with job.source.open("ab") as late:
        late.write(b", second half")
    assert job.is_altered()
    job.start_over()
    assert {path.name for path in job.folder.iterdir()} == {"source", MANIFEST, "lease.json"}
    again = load_job(job.folder).manifest
    assert (again.state, again.result, again.consecutive_failures) == (JobState.SETTLING, None, 0)
    assert job.source.read_bytes() == b"recording, second half"


def test_a_source_that_was_replaced_does_not_count_as_written_to(share: Share, tmp_path: Path) -> None:
    job = finished(share, "x.mp4")
    job.source.unlink()
    assert not job.is_altered()
    os.mkfifo(job.source)
    assert not job.is_altered()
    job.source.unlink()
    job.source.symlink_to(tmp_path)
    assert not job.is_altered()


def test_a_host_that_reads_coarser_times_sees_the_same_source(share: Share) -> None:
    job = finished(share, "x.mp4")
    for mtime_ns, altered in ((1_700_000_000_123_456_700, False), (1_700_000_000_123_457_789, True)):
        job.manifest.source = FileMark(1, job.source.stat().st_size, 1_700_000_000_123_456_789)
        os.utime(job.source, ns=(mtime_ns, mtime_ns))
        assert job.is_altered() == altered
