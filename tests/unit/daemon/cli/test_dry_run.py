"""`run --dry-run`: the service's own decisions, and nothing changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.cli.control import drain, pause
from daemon.cli.dry_run import Forecast, forecast
from daemon.config.settings import Settings
from daemon.share.leases import host_name
from daemon.share.reach import NoShareError
from daemon.share.share import Share
from tests.support.share import claimed, make_share, settings_for

INBOXES = [{"path": "inbox"}, {"path": "urgent", "profile": "fast", "priority": 5}, {"path": "not there yet"}]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, inboxes=INBOXES)


@pytest.fixture
def share(settings: Settings) -> Share:
    for name in ("inbox", "urgent"):
        (settings.share.root / name).mkdir()
    return Share(settings)


def drop(share: Share, relative: str, age_s: float, content: str = "film") -> Path:
    path = share.root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def nobody_writes(_: float) -> None:
    """Instead of waiting."""


def state(root: Path) -> dict[str, tuple[int, int]]:
    """Everything there is, with size and time of change."""
    return {str(path): (path.lstat().st_size, path.lstat().st_ctime_ns) for path in root.rglob("*")}


def names(plan: Forecast) -> list[str]:
    return [claim.file for claim in plan.claims]


def test_the_order_is_that_of_the_service_and_nothing_changes(share: Share, settings: Settings) -> None:
    drop(share, "inbox/new.mp4", 10)
    drop(share, "inbox/sub/old.mp4", 1000)
    drop(share, "urgent/later.mkv", 5)
    drop(share, "inbox/new.dualface.yaml", 10)
    before = state(share.root)
    plan = forecast(share, settings, nobody_writes)
    assert state(share.root) == before
    assert names(plan) == ["urgent/later.mkv", "inbox/sub/old.mp4", "inbox/new.mp4"]
    assert [(claim.profile, claim.has_sidecar) for claim in plan.claims] == [
        ("fast", False), ("default", False), ("default", True),
    ]  # fmt: skip
    assert (plan.block, plan.quiet_s, plan.waiting, plan.ignored) == ("", 5.0, [], [])


def test_reasons_are_given_for_everything_else(share: Share, settings: Settings) -> None:
    growing = drop(share, "inbox/growing.mp4", 10)
    sidecar = drop(share, "inbox/waits.dualface.yaml", 10, "swap: true")
    drop(share, "inbox/waits.mp4", 10)
    drop(share, "inbox/empty.mp4", 10, "")
    held = drop(share, "inbox/held.mp4", 10)
    for name in ("letter.txt", ".hidden.mp4", "x.mp4.part", "folder.mp4/x.mp4"):
        drop(share, f"inbox/{name}", 10)
    (share.root / "inbox" / "link.mp4").symlink_to(growing)

    def somebody_writes(_: float) -> None:
        for path in (growing, sidecar):
            with path.open("a") as file:
                file.write("# more\n")

    with held.open("a"):
        plan = forecast(share, settings, somebody_writes)
    assert names(plan) == []
    assert dict(plan.waiting) == {
        "inbox/growing.mp4": "it is still changing",
        "inbox/waits.dualface.yaml": "it is still changing",
        "inbox/waits.mp4": "its sidecar is still changing",
        "inbox/empty.mp4": "it has no content yet",
        "inbox/held.mp4": "a program on this machine is writing to it",
    }
    reasons = dict(plan.ignored)
    assert reasons.keys() == {
        f"inbox/{name}" for name in ("letter.txt", ".hidden.mp4", "x.mp4.part", "folder.mp4", "link.mp4")
    }
    assert "unfinished" in reasons["inbox/x.mp4.part"]
    assert "extension" in reasons["inbox/letter.txt"]


@pytest.mark.parametrize(
    ("hinder", "words"),
    [
        (lambda share, _: pause(share, "lunch"), "paused: lunch"),
        (lambda share, settings: drain(share, [host_name(settings.leases)], "kernel"), "draining: kernel"),
    ],
)
def test_the_reason_why_nothing_starts_is_shown(
    tmp_path: Path, hinder: Callable[[Share, Settings], object], words: str
) -> None:
    share, settings = make_share(tmp_path), settings_for(tmp_path)
    hinder(share, settings)
    assert words in forecast(share, settings, nobody_writes).block


def test_jobs_that_were_claimed_before_go_first(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    claimed(share, "a.mp4")
    (share.jobs / "broken").mkdir()
    plan = forecast(share, settings_for(tmp_path), nobody_writes)
    assert ("inbox/a.mp4", "settling, held by this-host") in plan.held
    assert ("broken", "its record cannot be read") in plan.held


def test_a_share_that_is_not_there(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "none")
    with pytest.raises(NoShareError):
        forecast(Share(settings), settings, nobody_writes)


def test_low_space_is_shown(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    settings = settings_for(tmp_path)
    short = settings.model_copy(
        update={"share": settings.share.model_copy(update={"low_bytes": 2**50, "resume_bytes": 2**50})}
    )
    assert "needed: share.resume_bytes" in forecast(share, short, nobody_writes).block
