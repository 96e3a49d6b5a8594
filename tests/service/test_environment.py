"""Trouble that is not the file's fault: a full disk, a share that goes away, other services, masses of files."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.bench import many_files
from tests.support.recordings import copied_audio, packets
from tests.support.service import PATIENCE_S, Service, fill, outputs
from tests.support.share import mounted


def test_a_full_disk_makes_jobs_wait_and_nothing_is_lost(
    small_disk: Path, recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    """Longer than an attempt waits. Afterwards the work goes on by itself, and the result is the same."""
    service = Service(small_disk.parent, degradation={"disk_wait_s": 1})
    ballast = service.root / "ballast"
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    try:
        service.wait_for(lambda: service.events("job started"), "the start")
        fill(ballast)
        service.wait_for(lambda: "DISK_FULL" in {line["code"] for line in service.events("job waits")}, "the full disk")
        assert service.process is not None
        assert service.process.poll() is None
        assert service.files("outbox") == service.files("failed") == set()
        ballast.unlink()
        service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
        assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
        assert packets(service.root / "outbox" / "x.dual.mp4", "audio") == copied_audio(recording)
        report = service.report("outbox/x.dual.report.json")
        assert (report["status"], report["resilience"]["attempts"]) == ("succeeded", 1)
        assert any("low space since" in line for line in service.notifications())
    finally:
        service.close()


def test_low_space_holds_new_work_until_there_is_enough_again(small_disk: Path, recording: Path) -> None:
    """With hysteresis, by itself, and everybody can read why."""
    low, enough = 8 * 2**20, 14 * 2**20
    service = Service(small_disk.parent, share={"low_bytes": low, "resume_bytes": enough})
    service.start()
    try:
        service.wait_for(service.page, "the first page")
        ballast = service.root / "ballast"
        fill(ballast)
        _leave_free(ballast, low - 2**20)
        service.wait_for(lambda: service.status()["state"] == "low_space", "the state")
        assert re.fullmatch(r"\d MiB free, 14 MiB needed: share\.resume_bytes", service.status()["reason"])
        since = service.status()["since"]
        expected = ("14 MiB needed: share.resume_bytes", since)
        service.wait_for(
            lambda: all(words in service.page() for words in expected), "the page that says what is needed"
        )
        shutil.copy(recording, service.inbox("x.mp4"))
        _leave_free(ballast, (low + enough) // 2)  # more than where it stopped, not enough to begin again
        service.wait_for(lambda: service.status()["queued"] == 1, "the file")
        time.sleep(2)
        assert (service.status()["state"], service.status()["since"]) == ("low_space", since)
        assert service.exists("inbox/x.mp4")
        ballast.unlink()
        service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
        states = [(line["hindrance"], line.get("remedy", "")) for line in service.events("condition changed")]
        assert states == [("low_space", "`dualface doctor --only share-space` shows more"), ("none", "")]
    finally:
        service.close()


def test_a_job_that_lacks_space_shows_how_much_it_needs_and_since_when(
    small_disk: Path, recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    service = Service(small_disk.parent, degradation={"disk_low_bytes": 12 * 2**20})
    ballast = service.root / "ballast"
    fill(ballast)
    _leave_free(ballast, 9 * 2**20)
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    try:
        service.wait_for(lambda: service.status()["state"] == "low_space", "the state")
        status = service.status()
        (job,) = status["running"]
        needed = r"[78] MiB free, 12 MiB needed: degradation\.disk_low_bytes"
        assert re.fullmatch(needed, status["reason"])
        assert re.fullmatch(needed, job["lacks"])
        assert (job["stage"], job["level"]) == ("space", "normal")
        assert datetime.fromisoformat(job["since"]) == datetime.fromisoformat(status["since"])
        service.wait_for(lambda: re.search(needed, service.page()), "the page that says what is needed")
        assert f'datetime="{job["since"]}"' in service.page()
        command = [sys.executable, "-m", "daemon", "status", "--config", service.config]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert re.search(rf"low space since 20.*: {needed}", output)
        assert re.search(rf"waits since 20.*: {needed}", output)
        assert [line["hindrance"] for line in service.events("condition changed")] == []
        ballast.unlink()
        service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
        assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
        service.wait_for(lambda: service.status()["state"] == "idle", "the end of the waiting")
        assert service.status()["since"] == ""
        (span,) = service.report("outbox/x.dual.report.json")["degradation"]
        assert (span["level"], span["from_s"], span["to_s"]) == ("pause", 0, 0)
    finally:
        service.close()


def test_a_service_that_starts_on_a_full_disk_waits_there(small_disk: Path) -> None:
    service = Service(small_disk.parent, share={"low_bytes": 2**20, "resume_bytes": 2**21})
    service.start()
    assert service.stop() == 0
    fill(service.root / "ballast")
    try:
        service.start()
        service.wait_for(lambda: service.events("condition changed"), "the state")
        assert service.events("condition changed")[0]["hindrance"] == "low_space"
        assert {line["check"] for line in service.events("share check")} >= {"share-rename"}
        (service.root / "ballast").unlink()
        service.wait_for(lambda: service.events("condition changed")[-1]["hindrance"] == "none", "its end")
    finally:
        service.close()


def test_a_share_that_is_not_mounted_at_the_start_is_not_made_up(tmp_path: Path, small_disk: Path) -> None:
    service = Service(small_disk.parent)
    service.start()
    assert service.stop() == 0
    subprocess.run(["umount", small_disk], check=True)
    try:
        service.start(wait=False)
        assert service.process is not None
        assert service.process.wait(timeout=PATIENCE_S) == 3
        (line,) = service.events("service cannot run")
        assert line["code"] == "SHARE_AWAY"
        assert "not mounted" in line["reason"]
        assert list(service.root.iterdir()) == []
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", small_disk], check=True)  # for the fixture
        service.close()


def _leave_free(ballast: Path, free_bytes: int) -> None:
    missing = free_bytes - shutil.disk_usage(ballast.parent).free
    os.truncate(ballast, ballast.stat().st_size - missing)


def test_a_share_that_goes_away_and_comes_back(service: Service, recording: Path) -> None:
    """Unmounting, seen from the service: every folder is empty and the sentinel is gone."""
    service.start()
    service.root.rename(service.folder / "elsewhere")
    (service.root / "inbox").mkdir(parents=True)
    shutil.copy(recording, service.inbox("not on the share.mp4"))
    service.wait_for(lambda: service.events("condition changed"), "the notice")
    assert service.events("condition changed")[0]["hindrance"] == "share_away"
    time.sleep(2)
    assert [path.name for path in service.root.rglob("*")] == ["inbox", "not on the share.mp4"]
    assert any("share away" in line for line in service.notifications())
    shutil.rmtree(service.root)
    (service.folder / "elsewhere").rename(service.root)
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery after its return")


def test_a_job_survives_the_absence_of_the_share(
    service: Service, recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.status()["running"], "a running job")
    service.root.rename(service.folder / "elsewhere")
    service.root.mkdir()
    service.wait_for(lambda: service.events("condition changed"), "the notice")
    time.sleep(1)
    service.root.rmdir()
    (service.folder / "elsewhere").rename(service.root)
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery after its return")
    assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
    assert service.files("outbox") == outputs("x")


def test_a_removed_state_folder_is_reported_and_can_be_put_back(
    service: Service, recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(service.segments, "a segment")
    (service.root / ".dualface").rename(service.folder / "recycle bin")
    service.wait_for(lambda: service.events("condition changed") and service.events("job waits"), "the notice")
    for line in (service.events("condition changed")[0], service.events("job waits")[0]):
        assert "The folder .dualface has gone" in line["reason"]
        assert "somebody has removed or renamed it" in line["reason"]
    command = [sys.executable, "-m", "daemon", "status", "--config", service.config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "The folder .dualface has gone" in " ".join(done.stderr.split())
    (service.folder / "recycle bin").rename(service.root / ".dualface")
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery after its return")
    assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
    assert not service.events("job lost to another host")


def test_a_removed_job_directory_is_reported(make_service: Callable[..., Service], recording: Path) -> None:
    service = make_service(leases={"renew_s": 0.3, "expire_s": 4})
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(service.segments, "a segment")
    (folder,) = service.jobs()
    folder.rename(service.folder / "removed")
    service.wait_for(lambda: service.status().get("failed"), "the notice")
    (failed,) = service.status()["failed"]
    assert (failed["file"], failed["code"]) == ("inbox/x.mp4", "JOB_REMOVED")
    assert not service.events("job lost to another host")
    (service.folder / "removed").rename(folder)
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery after its return")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_file_system_that_is_mounted_over_a_folder_is_named_and_waited_for(service: Service, recording: Path) -> None:
    """In the words of the check at the start."""
    service.start()
    outbox, originals = service.root / "outbox", service.root / "originals"
    with mounted(originals):
        with mounted(outbox):
            words = "Files cannot be renamed from the state folder to outbox (invalid cross-device link), originals"
            service.wait_for(lambda: service.status().get("reason", "").startswith(words), "the notice")
            reason = service.status()["reason"]
            assert service.status()["state"] == "share_split"
            assert reason.endswith("Put all folders of the share on one mount of one file system.")
            shutil.copy(recording, service.inbox("x.mp4"))
            service.wait_for(lambda: service.status().get("queued") == 1, "the file")
        only_originals = reason.replace("outbox (invalid cross-device link), ", "")
        service.wait_for(lambda: service.status().get("reason") == only_originals, "the change")
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    assert service.files("outbox") == outputs("x")
    lines = service.events("condition changed")
    assert [line["hindrance"] for line in lines] == ["share_split", "none"]
    assert "doctor --only share-one-file-system" in lines[0]["remedy"]


def test_an_inbox_may_be_a_link_to_a_folder_of_the_same_file_system(service: Service, recording: Path) -> None:
    (service.folder / "drop here").mkdir()
    service.inbox("x").parent.rmdir()
    (service.root / "inbox").symlink_to(service.folder / "drop here")
    service.start()
    shutil.copy(recording, service.folder / "drop here" / "x.mp4")
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    assert service.files("outbox") == outputs("x")
    assert (service.root / "inbox").is_symlink()


def test_an_inbox_that_somebody_removed_is_made_again(service: Service, recording: Path) -> None:
    service.start()
    (service.root / "inbox").rmdir()
    service.wait_for(lambda: service.exists("inbox"), "the folder")
    shutil.copy(recording, service.inbox("x.mp4"))
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")


def test_folders_that_somebody_removed_under_a_job_are_made_again(service: Service, recording: Path) -> None:
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: service.status()["running"], "a running job")
    for number, folder in enumerate(("outbox", "originals", "failed", ".dualface/finished")):
        (service.root / folder).rename(service.folder / f"removed {number}")  # at once: the service writes into them
    service.wait_for(lambda: service.exists("originals/x.mp4"), "the delivery")
    service.wait_for(lambda: service.files(".dualface/finished") and service.exists("outbox/status.html"), "the rest")
    assert service.files("outbox") == outputs("x")
    assert not service.events("condition changed")


def test_a_second_service_of_one_host_is_refused(service: Service) -> None:
    service.start()
    second = subprocess.run(
        [sys.executable, "-m", "daemon", "run", "--config", service.config],
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert second.returncode == 3
    assert b"already works on this share" in second.stderr


def test_another_host_s_job_is_taken_over_only_when_its_lease_stands_still(
    make_service: Callable[..., Service], recording: Path, undisturbed: list[tuple[int, int, bytes]]
) -> None:
    service = make_service(leases={"renew_s": 0.3, "expire_s": 3})
    shutil.copy(recording, service.inbox("x.mp4"))
    service.start()
    service.wait_for(lambda: any(service.root.glob(".dualface/jobs/*/checkpoint.json")), "a checkpoint")
    assert service.stop() == 0
    (folder,) = service.jobs()

    _renew_for_another_host(folder, 0)
    service.start()
    for sequence in range(1, 50):
        _renew_for_another_host(folder, sequence)
        time.sleep(0.1)
    assert service.jobs() == [folder]
    assert not service.events("job taken up")

    service.wait_for(lambda: service.exists("originals/x.mp4"), "the takeover and the delivery")
    (line,) = service.events("job taken over from another host")
    assert line["host"] == "another-host"
    assert packets(service.root / "outbox" / "x.dual.mp4") == undisturbed
    assert service.report("outbox/x.dual.report.json")["resilience"]["resumed_at_s"]


def _renew_for_another_host(folder: Path, sequence: int) -> None:
    lease = {"host": "another-host", "pid": 1, "boot_id": "another boot", "sequence": sequence}
    (folder / "part").write_text(json.dumps(lease))
    (folder / "part").rename(folder / "lease.json")


def test_masses_of_files_at_once(tmp_path: Path) -> None:
    """Found soon, in little memory that does not grow, oldest first, inboxes in turn.

    `python -m tests.bench.many_files` does the same with twenty thousand.
    """
    found = many_files.measure(
        tmp_path, files=2_000, inboxes=2, watched_s=3, started=4, settle={"local_s": 0.5}, scan={"max_interval_s": 1}
    )
    assert found.grown_mb < 20
    assert max(found.watched_mb) - found.queued_mb < 2
    assert [number // 2 for number in found.order] == sorted((number // 2 for number in found.order), reverse=True)
    assert found.order[0] in (1998, 1999)
    inboxes = [number % 2 for number in found.order]
    assert all(one != other for one, other in itertools.pairwise(inboxes))
