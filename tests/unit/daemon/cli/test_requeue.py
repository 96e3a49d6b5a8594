"""`retry`: back to the inbox that a file came from, with its sidecar, replacing nothing."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path, PurePath
from typing import Any

import pytest

from daemon.cli import requeue
from daemon.cli.control import NotChangedError
from daemon.cli.requeue import FailedFile, NotInFailedError, WhichInboxError
from daemon.config.settings import Settings
from daemon.share.share import Share
from tests.support.share import settings_for, tree

INBOXES = [{"path": "inbox"}, {"path": "lessons/in", "profile": "fast"}]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, inboxes=INBOXES)


@pytest.fixture
def share(settings: Settings) -> Share:
    share = Share(settings)
    share.prepare()
    return share


def fail(share: Share, relative: str, came_from: str | None, content: str = "film", sidecar: str = "") -> None:
    path = share.failed / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if sidecar:
        path.with_name(f"{path.stem}.dualface.yaml").write_text(sidecar)
    if came_from is not None:
        report: Any = {"input": {"path": came_from}, "error": {"message": "No video."}}
        path.with_name(f"{path.stem}.report.json").write_text(json.dumps(report))


def retry(share: Share, settings: Settings, name: str, inbox: str = "") -> str:
    return str(requeue.requeue(share, settings, requeue.choose(requeue.failed_files(share), name), inbox))


def test_back_to_where_it_came_from_with_its_sidecar(share: Share, settings: Settings) -> None:
    fail(share, "a.mp4", "lessons/in/a.mp4", sidecar="swap: true")
    fail(share, "deep/er/b.mp4", "inbox/deep/er/b.mp4")
    assert retry(share, settings, "a.mp4") == "lessons/in/a.mp4"
    assert retry(share, settings, "b") == "inbox/deep/er/b.mp4"
    assert tree(share.root / "lessons") == {"in/a.mp4", "in/a.dualface.yaml"}
    assert tree(share.failed) == set()


def test_nothing_is_replaced_and_the_first_name_comes_back(share: Share, settings: Settings) -> None:
    (share.inboxes[0] / "a.mp4").write_text("somebody else's")
    (share.inboxes[0] / "b.dualface.yaml").write_text("somebody else's")
    fail(share, "a-2.mp4", "inbox/a.mp4", "mine")
    fail(share, "b-3.mp4", "inbox/b.mp4", "mine", sidecar="swap: true")
    assert retry(share, settings, "a-2") == "inbox/a-2.mp4"
    assert retry(share, settings, "b-3.mp4") == "inbox/b-2.mp4"
    assert (share.inboxes[0] / "a.mp4").read_text() == "somebody else's"
    assert (share.inboxes[0] / "b.dualface.yaml").read_text() == "somebody else's"
    assert (share.inboxes[0] / "b-2.dualface.yaml").read_text() == "swap: true"
    fail(share, "c-2.mp4", "inbox/c.mp4", "mine")
    assert retry(share, settings, "failed/c-2.mp4") == "inbox/c.mp4"


@pytest.mark.parametrize("came_from", [None, "gone/c.mp4", "../../etc/c.mp4", "inbox/../..", "/etc/c.mp4"])
def test_an_unknown_inbox_must_be_named(share: Share, settings: Settings, came_from: str | None) -> None:
    fail(share, "c.mp4", came_from)
    if came_from != "inbox/../..":
        with pytest.raises(WhichInboxError) as caught:
            retry(share, settings, "c.mp4")
        assert "inbox, lessons/in" in caught.value.remedy
    with pytest.raises(WhichInboxError, match="no inbox 'outbox'"):
        retry(share, settings, "c.mp4", "outbox")
    assert tree(share.failed) >= {"c.mp4"}
    assert retry(share, settings, "c.mp4", "lessons/in/") == "lessons/in/c.mp4"


def test_names_are_found_as_people_give_them(share: Share) -> None:
    for name in ("a.mp4", "x/a.mp4", "x/b.mov", ".hidden.mp4"):
        fail(share, name, f"inbox/{name}")
    files = requeue.failed_files(share)
    assert [str(file.relative) for file in files] == ["a.mp4", "x/a.mp4", "x/b.mov"]
    assert requeue.choose(files, "a.mp4").relative == PurePath("a.mp4")
    assert requeue.choose(files, "x/a.mp4").relative == PurePath("x/a.mp4")
    assert requeue.choose(files, f"{share.failed}/x/a.mp4").relative == PurePath("x/a.mp4")
    assert requeue.choose(files, "b").relative == PurePath("x/b.mov")
    with pytest.raises(NotInFailedError, match=r"several: a\.mp4, x/a\.mp4"):
        requeue.choose(files, "a")
    with pytest.raises(NotInFailedError) as caught:
        requeue.choose(files, "nothing")
    assert caught.value.remedy == "There are: a.mp4, x/a.mp4, x/b.mov."
    many = [FailedFile(PurePath(f"{n}.mp4"), None, "", None) for n in range(12)]
    assert requeue.list_in_words(many).endswith("and 2 more.")


def test_a_move_that_fails_leaves_both_files_where_they_were(share: Share, settings: Settings) -> None:
    fail(share, "a.mp4", "inbox/a.mp4", sidecar="swap: true")
    before = tree(share.failed)
    file = requeue.choose(requeue.failed_files(share), "a.mp4")
    (share.failed / "a.mp4").rename(share.failed / "a.mp4.away")
    with pytest.raises(NotChangedError, match="No such file"):
        requeue.requeue(share, settings, file)
    (share.failed / "a.mp4.away").rename(share.failed / "a.mp4")
    assert tree(share.failed) == before


def test_a_name_counts_in_any_unicode_form(share: Share, settings: Settings) -> None:
    name = "인터뷰"
    decomposed = unicodedata.normalize("NFD", name)
    fail(share, f"{decomposed}.mp4", f"inbox/{decomposed}.mp4")
    file = requeue.choose(requeue.failed_files(share), name)
    assert str(requeue.requeue(share, settings, file)) == f"inbox/{decomposed}.mp4"
