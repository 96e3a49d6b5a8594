"""The share: prepared once, recognised later, and not confused with an empty mount point."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemon.config.settings import SettleSettings
from daemon.errors import ShareAwayError, ShareReplacedError, ShareUnusableError
from daemon.jobs.segment_cache import SegmentCache
from daemon.jobs.start_conditions import BlockReason, StartConditions
from daemon.remedies import remedy_of
from daemon.share import mounts
from daemon.share.share import Share, ShareIdentity, file_system, inbox_folder, is_network, settle_s
from tests.support.share import make_share, mounted, settings_for


def test_an_inbox_is_found_in_the_unicode_form_in_which_it_is_there(tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "입력")).mkdir()
    settings = settings_for(tmp_path, inboxes=[{"path": "입력"}])
    Share(settings).prepare()
    folders = [path.name for path in tmp_path.iterdir() if not path.name.isascii()]
    assert folders == [unicodedata.normalize("NFD", "입력")]
    assert inbox_folder(settings, settings.inboxes[0]).name == folders[0]


def test_prepare_makes_the_folders_once(tmp_path: Path) -> None:
    first = make_share(tmp_path).prepare()
    assert {path.name for path in tmp_path.iterdir()} == {"inbox", "outbox", "failed", "originals", ".dualface"}
    assert make_share(tmp_path).prepare() == first
    assert list((tmp_path / "outbox").iterdir()) == []


def test_a_sentinel_that_cannot_be_written_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the share would count as away for ever, once there is space again."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ShareUnusableError, match="No space left") as caught:
            make_share(tmp_path)
    assert "--only share-space" in remedy_of(caught.value)
    assert [path.name for path in (tmp_path / ".dualface").iterdir() if path.is_file()] == []
    assert make_share(tmp_path).identity().share_id


def test_a_missing_root_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(ShareAwayError):
        Share(settings_for(tmp_path / "not mounted")).prepare()
    assert not (tmp_path / "not mounted").exists()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1000  # past every wait
        return self.now


def conditions(share: Share, **share_settings: int) -> StartConditions:
    settings = settings_for(share.root, retry={"first_s": 1, "longest_s": 1})
    settings = settings.model_copy(update={"share": settings.share.model_copy(update=share_settings)})
    clock = Clock()
    return StartConditions(share, share.identity(), SegmentCache(share, settings.retention, clock), settings, clock)


def test_a_share_that_goes_and_comes_back(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    watched = conditions(share)
    assert watched.refresh().block_reason is BlockReason.NONE
    share.state.rename(tmp_path / ".elsewhere")
    assert watched.refresh().block_reason is BlockReason.SHARE_AWAY
    assert watched.refresh().block_reason is BlockReason.SHARE_AWAY
    (tmp_path / ".elsewhere").rename(share.state)
    assert watched.refresh().block_reason is BlockReason.NONE


def test_the_search_for_a_missing_share_backs_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubled each time, up to half a minute whatever jobs wait at most; the journal has one line about it."""
    share = make_share(tmp_path)
    settings = settings_for(tmp_path, retry={"first_s": 5, "longest_s": 300})
    now = 0
    cache = SegmentCache(share, settings.retention, lambda: now)
    watched = StartConditions(share, share.identity(), cache, settings, lambda: now)
    share.state.rename(tmp_path / ".elsewhere")
    looks: list[int] = []
    identity = share.identity

    def seen() -> ShareIdentity:
        looks.append(now)
        return identity()

    monkeypatch.setattr(share, "identity", seen)
    with capture_logs() as lines:
        for now in range(10_000):  # noqa: B007 - the clock's time
            watched.refresh()
    gaps = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert gaps[0] <= 6
    assert 15 <= max(gaps) <= 31
    assert 320 < len(looks) < 700
    (line,) = lines
    assert (line["hindrance"], line["log_level"]) == ("share_away", "warning")
    assert "doctor --only share-there" in line["remedy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_mount_is_noticed_at_once(tmp_path: Path) -> None:
    """However long ago the share went away."""
    share = make_share(tmp_path)
    settings = settings_for(tmp_path)
    now = 0.0
    cache = SegmentCache(share, settings.retention, lambda: now)
    watched = StartConditions(share, share.identity(), cache, settings, lambda: now)
    with mounted(share.root):  # an empty file system hides it
        now += 2
        assert watched.refresh().block_reason is BlockReason.SHARE_AWAY
        for _ in range(10):
            watched.report_away(ShareAwayError("still away"))
        now += 2
        assert watched.refresh().block_reason is BlockReason.SHARE_AWAY
    assert not watched._away.due
    assert watched.refresh().block_reason is BlockReason.NONE


def test_folders_that_somebody_removed_are_made_again(tmp_path: Path) -> None:
    share = Share(settings_for(tmp_path, inboxes=[{"path": "a/b"}, {"path": "c"}]))
    share.prepare()
    watched = conditions(share)
    before = {path for path in tmp_path.rglob("*") if path.is_dir()}
    removed = ["a/b", "c", "outbox", "originals", ".dualface/jobs", ".dualface/finished", ".dualface/hosts"]
    for folder in ("a", "failed", *removed[1:]):
        shutil.rmtree(tmp_path / folder)
    share.failed.write_text("somebody's")
    with capture_logs() as lines:
        assert watched.refresh().block_reason is BlockReason.NONE
        assert watched.refresh().block_reason is BlockReason.NONE
    assert {path for path in tmp_path.rglob("*") if path.is_dir()} == before - {share.failed}
    assert share.failed.read_text() == "somebody's"
    logged = [line["folder"] for line in lines if line["event"] == "missing folder created again"]
    assert sorted(logged) == sorted(removed)


def test_no_folder_is_created_on_a_share_that_was_just_unmounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes right after it was recognised."""
    (tmp_path / "share").mkdir()
    share = make_share(tmp_path / "share")
    watched, identity = conditions(share), share.identity()

    def recognised() -> ShareIdentity:
        share.root.rename(tmp_path / "elsewhere")
        share.root.mkdir()
        return identity

    monkeypatch.setattr(share, "identity", recognised)
    assert watched.refresh().block_reason is BlockReason.SHARE_AWAY
    assert list(share.root.iterdir()) == []


def test_a_mount_inside_the_share_is_looked_at_when_it_comes_and_until_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = make_share(tmp_path)
    table = tmp_path / ".mountinfo"
    above = f"1 1 8:1 / {tmp_path} rw - ext4 /dev/sda1 rw\n"
    over = f"2 1 8:2 / {share.outbox} rw - ext4 /dev/sdb1 rw\n"
    table.write_text(above)
    monkeypatch.setattr(mounts, "_MOUNTINFO", table)
    found, looks = ["Files cannot be renamed."], []

    def find_split() -> str:
        looks.append(found[0])
        return found[0]

    settings, clock = settings_for(tmp_path), Clock()
    cache = SegmentCache(share, settings.retention, clock)
    watched = StartConditions(share, share.identity(), cache, settings, clock, find_split)
    assert (watched.refresh().block_reason, looks) == (BlockReason.NONE, [])
    table.write_text(above + over)
    assert (watched.refresh().block_reason, watched.now.reason) == (BlockReason.SHARE_SPLIT, "Files cannot be renamed.")
    found[0] = ""
    assert watched.refresh().block_reason is BlockReason.NONE, "it is looked at again"
    table.write_text(above)
    assert watched.refresh().block_reason is BlockReason.NONE
    watched.refresh()
    assert len(looks) == 3


def test_another_share_in_its_place_is_noticed(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    watched = conditions(share)
    shutil.rmtree(share.state)
    share.prepare()
    with pytest.raises(ShareReplacedError):
        watched.refresh()


def test_pause_file_and_its_reason(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    watched = conditions(share)
    share.pause_file.write_text("maintenance\nuntil noon\n")
    assert watched.refresh().reason == "maintenance until noon"
    assert watched.now.block_reason is BlockReason.PAUSED
    share.pause_file.unlink()
    assert watched.refresh().block_reason is BlockReason.NONE
    share.pause_file.mkdir()
    assert watched.refresh().block_reason is BlockReason.PAUSED


def test_low_space_has_hysteresis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = make_share(tmp_path)
    watched = conditions(share, low_bytes=100, resume_bytes=200)
    seen = []
    for free in (150, 99, 150, 199, 200, 150):
        monkeypatch.setattr(share, "free_bytes", lambda free=free: free)
        seen.append(watched.refresh().block_reason is BlockReason.LOW_SPACE)
    assert seen == [False, True, True, True, False, False]


def test_low_space_removes_cached_segments_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = make_share(tmp_path)
    watched = conditions(share, low_bytes=100, resume_bytes=200)
    for name in ("a", "b", "c"):
        (share.finished / name).mkdir()
    left = []
    for free in (150, 99, 150, 200, 150):
        monkeypatch.setattr(share, "free_bytes", lambda free=free: free)
        watched.refresh()
        left.append(len(list(share.finished.iterdir())))
    assert left == [3, 2, 1, 1, 1]


def test_kinds_of_file_systems() -> None:
    settle = SettleSettings(local_s=1, nfs_s=2, smb_s=3)
    for kind, network, quiet_s in (
        ("ext4", False, 1),
        ("xfs", False, 1),
        ("tmpfs", False, 1),
        ("overlay", False, 1),
        ("fuseblk", False, 1),
        ("nfs", True, 2),
        ("nfs4", True, 2),
        ("cifs", True, 3),
        ("smb3", True, 3),
        ("fuse.sshfs", True, 3),
        ("9p", True, 3),
    ):
        assert (is_network(kind), settle_s(kind, settle)) == (network, quiet_s), kind


def test_the_file_system_of_a_path_is_found(tmp_path: Path) -> None:
    assert file_system(Path("/proc")) == "proc"
    assert file_system(tmp_path)
