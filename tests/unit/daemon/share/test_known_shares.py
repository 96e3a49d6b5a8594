"""The service does not create a new share on the system's disk while the share is not mounted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.errors import ShareAwayError
from daemon.remedies import remedy_of
from daemon.share import known_shares
from daemon.share.share import Share
from tests.support.share import settings_for


@pytest.fixture
def share(tmp_path: Path) -> Share:
    root = tmp_path / "share"
    root.mkdir()
    return Share(settings_for(root))


def seen_elsewhere(share: Share, memory: Path) -> None:
    """As if the share had been seen on another file system before."""
    known_shares.record(share, share.prepare(), memory)
    path = memory / "shares.json"
    path.write_text(json.dumps({root: device + 1 for root, device in json.loads(path.read_text()).items()}))


def empty(share: Share) -> None:
    share.root.rename(share.root.with_name("put away"))
    share.root.mkdir()


def test_an_empty_mount_point_is_not_taken_for_a_new_share(share: Share, tmp_path: Path) -> None:
    seen_elsewhere(share, tmp_path / "memory")
    empty(share)
    with pytest.raises(ShareAwayError) as caught:
        known_shares.check_mounted(share, tmp_path / "memory")
    assert "--only share-there" in remedy_of(caught.value)
    assert list(share.root.iterdir()) == []
    share.state.mkdir()  # the remedy for a new share
    known_shares.check_mounted(share, tmp_path / "memory")


def test_a_share_that_was_removed_on_its_own_disk_may_be_made_anew(share: Share, tmp_path: Path) -> None:
    known_shares.record(share, share.prepare(), tmp_path / "memory")
    empty(share)
    known_shares.check_mounted(share, tmp_path / "memory")


def test_another_file_system_with_a_share_is_accepted(share: Share, tmp_path: Path) -> None:
    seen_elsewhere(share, tmp_path / "memory")
    known_shares.check_mounted(share, tmp_path / "memory")  # a share lies there, whatever its device


@pytest.mark.parametrize("content", [None, "", "[]", '{"/x": null}'])
def test_a_lost_record_is_no_obstacle(share: Share, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "shares.json").write_text(content)
    known_shares.check_mounted(share, tmp_path)


def test_the_number_of_records_is_limited(tmp_path: Path) -> None:
    for number in range(60):
        root = tmp_path / f"share{number}"
        root.mkdir()
        share = Share(settings_for(root))
        known_shares.record(share, share.prepare(), tmp_path)
    known = json.loads((tmp_path / "shares.json").read_text())
    assert len(known) == 50
    assert str(tmp_path / "share59") in known


def test_a_record_that_cannot_be_written_is_no_error(share: Share) -> None:
    known_shares.record(share, share.prepare(), Path("/proc/nowhere"))
