"""Measuring a share: what is found on the file system at hand, and that nothing of it is left behind or disturbed."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from daemon.diagnostics.measurements.files import Folders, Names, Times
from daemon.diagnostics.measurements.main import KINDS
from daemon.diagnostics.measurements.mount import Presence, ShareMount, Space
from daemon.diagnostics.measurements.renaming import OVERWRITES, Renaming, Syncing
from daemon.diagnostics.measurements.target import Measurement, Target
from daemon.diagnostics.measurements.visibility import Events, Lag
from tests.support.share import make_share


@pytest.fixture
def target(tmp_path: Path) -> Target:
    share = make_share(tmp_path)
    return Target(share.root, share.folders)


def everything(folder: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """All that lies below a folder: mode, modification time and content."""
    found = {str(path): (path.stat().st_mode, 0, None) for path in folder.rglob("*") if path.is_dir()}
    files = (path for path in folder.rglob("*") if path.is_file())
    return found | {str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_nothing_is_left_behind_or_disturbed(kind: type[Measurement], target: Target) -> None:
    for folder in target.folders.values():
        (folder / "somebody's.mp4").write_bytes(b"recording")
    before = everything(target.root)
    facts = kind.measured(target)
    assert everything(target.root) == before
    assert TypeAdapter(kind).validate_python(asdict(facts)) == facts


def test_an_ordinary_disk(target: Target) -> None:
    renaming = Renaming.measured(target)
    assert (renaming.plain, renaming.link, renaming.folder, renaming.protocol) == ("", "", "", "rename")
    assert renaming.inode_kept and renaming.mtime_kept and renaming.writer_follows
    syncing = Syncing.measured(target)
    assert (syncing.file, syncing.folder) == ("", True)
    assert Presence.measured(target) == Presence("", True, [])
    assert Times.measured(target).granularity_ns <= 100
    assert Space.measured(target).free_bytes > 0
    names = Names.measured(target)
    assert (names.case_sensitive, names.one_spelling, names.longest_bytes, names.refused) == (True, False, 255, [])
    mount = ShareMount.measured(target)
    assert mount.kind
    assert not mount.read_only


def test_a_file_system_without_no_replace_rename_publishes_by_link(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(source: Path, target: Path) -> None:
        raise OSError(22, "as on NFS")

    monkeypatch.setattr("daemon.diagnostics.measurements.renaming.rename_no_replace", unsupported)
    facts = Renaming.measured(target)
    assert (facts.no_replace, facts.protocol) == ("EINVAL", "link")


def test_a_rename_that_replaces_all_the_same_is_noticed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.diagnostics.measurements.renaming.rename_no_replace", os.replace)
    facts = Renaming.measured(target)
    assert (facts.no_replace, facts.protocol) == (OVERWRITES, "link")


def test_what_a_killed_measurement_left_is_cleared_away_later(target: Target) -> None:
    old, young = (target.root / ".dualface" / f"measure-{age}" for age in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "file").write_bytes(b"")
    os.utime(old, (1_600_000_000, 1_600_000_000))
    Times.measured(target)
    assert not old.exists()
    assert young.exists()


def test_a_share_that_is_not_prepared_is_measured_too(tmp_path: Path) -> None:
    target = Target(tmp_path, {"inbox": tmp_path / "inbox"})
    assert Presence.measured(target) == Presence("", False, ["inbox"])
    assert Renaming.measured(target).protocol == "rename"
    assert list(tmp_path.iterdir()) == []
    assert [folder.refused for folder in Folders.measured(target).folders] == ["ENOENT"]


def test_another_way_to_the_share(target: Target, tmp_path: Path) -> None:
    """Here it is a link to the same folder: what comes through it is seen at once."""
    (tmp_path / "other way").symlink_to(target.root)
    target = Target(target.root, target.folders, tmp_path / "other way")
    lag = Lag.measured(target)
    assert lag.other_way
    assert max(s for s in (lag.new_s, lag.grown_s, lag.gone_s) if s is not None) < 5
    assert None not in (lag.new_s, lag.grown_s, lag.gone_s)
    events = Events.measured(target)
    assert events.own_ms is not None
    assert events.other_ms is not None


def test_setgid_folders_hand_on_their_group(target: Target) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    inbox = target.folders["inbox"]
    os.chown(inbox, -1, 12345)
    inbox.chmod(0o2775)
    found = {folder.name: folder for folder in Folders.measured(target).folders}["inbox"]
    assert (found.gid, found.file_gid, found.mode) == (12345, 12345, 0o2775)
