"""Held jobs: which are taken up from other runs and hosts, and how long they wait after trouble."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.jobs import held_jobs
from daemon.jobs.held_jobs import HeldJobs
from daemon.share import leases, mounts
from daemon.share.share import locks_reach_all
from daemon.worker.protocol import Failed
from tests.support.share import claimed, make_share, settings_for

LOCAL, NFS, NFS_ALONE, SMB = "ext4 rw", "nfs4 rw,local_lock=none", "nfs4 rw,local_lock=flock", "cifs rw"


class Hosts:
    """A share with one job that a service of our own name holds, and the held jobs of this service."""

    def __init__(self, root: Path) -> None:
        self.share = make_share(root)
        self.now = 0.0
        self.settings = settings_for(root)
        self.held_jobs = HeldJobs(self.settings, self.share, lambda: self.now, others_active=lambda: False)
        self.job = claimed(self.share, "x.mp4").folder

    def renewed_by(self, *, boot_id: str, sequence: int = 0) -> None:
        leases.write(self.job, replace(self.held_jobs.lease, pid=1, boot_id=boot_id, sequence=sequence))

    def looked(self, *, after_s: float = 0.0) -> list[str]:
        """Return the directories of the jobs that this service holds after another renewal."""
        self.now += after_s
        assert list(self.held_jobs.renew()) == []
        return [held.job.folder.name for held in self.held_jobs]


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path)


def mount(root: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel's table say that the share is of some kind."""
    device = root.stat().st_dev
    name, options = kind.split()
    table = root / ".mountinfo"
    table.write_text(f"1 1 {os.major(device)}:{os.minor(device)} / {root} rw - {name} nas:/x {options}\n")
    monkeypatch.setattr(mounts, "_MOUNTINFO", table)


@pytest.mark.parametrize("kind", [NFS_ALONE, SMB])
def test_another_machine_of_our_name_keeps_its_jobs(hosts: Hosts, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not see our lock, it may be alive; when it has gone, its job is taken by a rename, which fences."""
    mount(hosts.share.root, kind, monkeypatch)
    renew_s, expire_s = hosts.settings.leases.renew_s, hosts.settings.leases.expire_s
    for sequence in range(30):
        hosts.renewed_by(boot_id="another boot", sequence=sequence)
        assert hosts.looked(after_s=renew_s) == []
    assert hosts.looked(after_s=expire_s / 2) == []
    assert hosts.looked(after_s=expire_s / 2) == [f"{hosts.job.name}~2"]


@pytest.mark.parametrize("kind", [LOCAL, NFS])
def test_after_a_reboot_jobs_go_on_at_once(hosts: Hosts, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mount(hosts.share.root, kind, monkeypatch)
    hosts.renewed_by(boot_id="another boot")
    assert hosts.looked() == [hosts.job.name]


@pytest.mark.parametrize("kind", [LOCAL, NFS, NFS_ALONE, SMB])
def test_after_a_restart_jobs_go_on_at_once(hosts: Hosts, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mount(hosts.share.root, kind, monkeypatch)
    hosts.renewed_by(boot_id=hosts.held_jobs.lease.boot_id)
    assert hosts.looked() == [hosts.job.name]


def test_locks_of_an_unknown_place_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "empty"
    table.write_text("")
    monkeypatch.setattr(mounts, "_MOUNTINFO", table)
    assert not locks_reach_all(tmp_path)


@pytest.mark.parametrize(("code", "longest_s"), [("DISK_FULL", 30), ("STORAGE", 30), ("SHARE_SPLIT", 30), ("X", 300)])
def test_trouble_of_the_storage_is_never_waited_for_long(hosts: Hosts, code: str, longest_s: float) -> None:
    held = hosts.held_jobs.hold(claimed(hosts.share, "y.mp4"))
    for _ in range(20):
        held.wait(Failed(code, "trouble", "do something", environmental=True))
    assert longest_s / 2 <= held.backoff.wait_s + 1 <= longest_s + 1


def test_a_wait_has_one_beginning_however_often_it_is_tried_in_between(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter("abcdef")
    monkeypatch.setattr(held_jobs, "utc_now", lambda: next(times))
    held = hosts.held_jobs.hold(claimed(hosts.share, "y.mp4"))
    full = Failed("DISK_FULL", "33 MiB free", "free some", environmental=True)
    held.note_stage("space")
    held.note_stage("space")
    held.wait(full)
    held.begin_attempt()
    held.note_stage("probe")
    held.note_stage("space")
    held.wait(full)
    assert held.since == "a"
    held.wait(Failed("STORAGE", "it does not answer", "look", environmental=True))
    assert held.since == "b"
    held.begin_attempt()
    held.note_stage("render")
    assert held.since == ""


def test_a_service_of_a_cluster_moves_the_jobs_of_its_former_run(tmp_path: Path) -> None:
    """A worker of that run may still write at a node that was cut off."""
    share = make_share(tmp_path)
    settings = settings_for(tmp_path, cluster={"engine": "ray", "address": "192.0.2.10"})
    held = HeldJobs(settings, share, lambda: 0.0, others_active=lambda: False)
    job = claimed(share, "x.mp4").folder
    leases.write(job, replace(held.lease, pid=1))
    assert list(held.renew()) == []
    assert [each.job.folder.name for each in held] == [f"{job.name}~2"]
