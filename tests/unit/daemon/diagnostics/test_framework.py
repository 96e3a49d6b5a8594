"""doctor: the registry of checks, findings from measured facts, and errors that name their check."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.config.settings import ShareSettings
from daemon.diagnostics import checks
from daemon.diagnostics.checks import cluster, device, host, observers, share, software
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.checks.share import AT_START
from daemon.diagnostics.checks.startup import recheck_share
from daemon.diagnostics.framework import (
    CHECKS,
    Check,
    Finding,
    UnknownCheckError,
    Verdict,
    document,
    examine,
    failed,
    ok,
    select,
)
from daemon.diagnostics.measurements.files import Folder, Folders, Names, Times
from daemon.diagnostics.measurements.mount import Presence, ShareMount, Space
from daemon.diagnostics.measurements.renaming import Renaming, Syncing
from daemon.diagnostics.measurements.target import Measurement
from daemon.diagnostics.measurements.visibility import Events, Lag
from daemon.diagnostics.versions import Verified
from daemon.share.share import Share
from daemon.worker.subprocess_call import Account
from tests.support.share import settings_for, small_disk

OK, WARNING, FAILED, NOT_APPLICABLE = Verdict


class Known(Context):
    """An examination of which the facts are given, and programs' answers by their last arguments."""

    def __init__(self, root: Path, *facts: Measurement, answers: dict[str, Any] | None = None, **sections: Any) -> None:
        super().__init__(settings_for(root, **sections))
        self._facts = {type(fact): fact for fact in facts}
        self._told = answers or {}

    def ask_program(self, module: str, *arguments: str) -> Any:
        return self._told.get(arguments[0] if arguments else "", self._told.get(module))


def examined(name: str, context: Context) -> Finding:
    return CHECKS[name].function(context)


# -- the registry


def test_every_check_has_a_meaning() -> None:
    assert checks.__all__ == ["cluster", "device", "host", "observers", "share", "software"]
    for name, found in CHECKS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert len(found.meaning) > 30, name
        assert found.meaning.endswith("."), name
        assert found.needs is None or found.needs in CHECKS


def test_the_documentation_names_every_check() -> None:
    text = (Path(__file__).parents[4] / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = text.partition("## Checks")[2].partition("## JSON")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) == set(CHECKS)


def test_groups_and_names_select_checks() -> None:
    assert len(select([])) == len(CHECKS)
    assert [found.name for found in select(["share-rename", "python"])] == ["python", "share-rename"]
    assert {found.name for found in select(["share"])} == {name for name in CHECKS if name.startswith("share-")}
    with pytest.raises(UnknownCheckError):
        select(["shar"])


def test_what_a_check_needs_comes_first_and_is_shown_only_when_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHECKS, "ground", Check("ground", lambda _: ok("fine")))
    monkeypatch.setitem(CHECKS, "roof", Check("roof", lambda _: ok("fine"), needs="ground"))
    context = Known(Path("/nowhere"))
    assert [result.name for result in examine([CHECKS["roof"]], context)] == ["roof"]
    monkeypatch.setitem(CHECKS, "ground", Check("ground", lambda _: failed("gone", "dig")))
    results = list(examine([CHECKS["roof"]], context))
    assert [(r.name, r.finding.verdict) for r in results] == [("ground", FAILED), ("roof", NOT_APPLICABLE)]


def test_the_document_has_its_shape() -> None:
    context = Known(Path("/nowhere"), Presence("ENOENT", False, []))
    body = json.loads(json.dumps(document(list(examine(select(["share-there"]), context)), context)))
    assert body["schema"] == "dualface.doctor/1"
    assert body["works"] is False
    assert body["counts"] == {"ok": 0, "warning": 0, "failed": 1, "not applicable": 0}
    (entry,) = body["checks"]
    assert entry.keys() == {"name", "result", "summary", "remedy", "settings", "facts", "meaning", "seconds"}
    assert (entry["name"], entry["result"]) == ("share-there", "failed")
    assert "mkdir -p /nowhere" in entry["remedy"]


# -- what follows from facts

RENAMING = Renaming("", "", "", "", inode_kept=True, mtime_kept=True, writer_follows=True, protocol="rename")
NFS = ShareMount("nfs4", "nas:/v", ["rw"], network=True, read_only=False, file_cache_s=None, folder_cache_s=None)
EXT4 = ShareMount("ext4", "/dev/sda1", ["rw"], network=False, read_only=False, file_cache_s=None, folder_cache_s=None)


def changed(facts: Any, **values: Any) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    return replace(facts, **values)


@pytest.mark.parametrize(
    ("name", "facts", "verdict", "words"),
    [
        ("share-there", [Presence("", True, [])], OK, "is a share"),
        ("share-there", [Presence("EACCES", False, [])], FAILED, "permission denied"),
        ("share-there", [Presence("", False, [])], WARNING, "mounted"),
        ("share-file-system", [EXT4], OK, "quiet time is 5 s"),
        ("share-file-system", [NFS], OK, "quiet time is 65 s"),
        ("share-file-system", [changed(NFS, file_cache_s=600.0)], WARNING, "settle.nfs_s to 605"),
        ("share-file-system", [changed(EXT4, read_only=True)], FAILED, "read-only"),
        ("share-file-system", [changed(EXT4, kind="vfat")], WARNING, "4 GiB"),
        ("share-rename", [RENAMING], OK, "renameat2"),
        ("share-rename", [changed(RENAMING, no_replace="EINVAL", protocol="link")], OK, "hard link"),
        ("share-rename", [changed(RENAMING, no_replace="EINVAL", link="EPERM", protocol="none")], FAILED, "NFS or SMB"),
        ("share-rename", [changed(RENAMING, no_replace="overwrites")], FAILED, "replaced a file"),
        ("share-rename", [changed(RENAMING, inode_kept=False)], FAILED, "serverino"),
        ("share-rename", [changed(RENAMING, plain="EXDEV")], FAILED, "renamed"),
        ("share-rename", [changed(RENAMING, writer_follows=False)], WARNING, "loses it"),
        ("share-fsync", [Syncing("", True, 1.0, 2.0, 80.0)], OK, "1 ms"),
        ("share-fsync", [Syncing("", False, 1.0, 2.0, 80.0)], WARNING, "power cut"),
        ("share-fsync", [Syncing("EIO", True, 0, 0, 0)], FAILED, "input/output"),
        ("share-fsync", [Syncing("", True, 900.0, 2000.0, 1.0)], WARNING, "900 ms"),
        ("share-events", [Events("", 1.0, None, False), EXT4], OK, "reported"),
        ("share-events", [Events("", None, None, False), EXT4], WARNING, "scan.events"),
        ("share-events", [Events("", 1.0, None, True), EXT4], WARNING, "from other hosts"),
        ("share-events", [Events("ENOSPC", None, None, False), EXT4], WARNING, "max_user_watches"),
        ("share-events", [Events("", 1.0, None, True), NFS], OK, "was not reported"),
        ("share-cache", [Lag(False), EXT4], NOT_APPLICABLE, "local"),
        ("share-cache", [Lag(False), NFS], OK, "within 60 s"),
        ("share-cache", [Lag(False), changed(NFS, file_cache_s=90.0, folder_cache_s=3.0)], WARNING, "nfs_s to 95"),
        ("share-cache", [Lag(True, 0.5, 1.0, 0.1), NFS], OK, "after 1 s"),
        ("share-cache", [Lag(True, 0.5, None, 0.1), changed(EXT4)], WARNING, "not at all"),
        ("share-cache", [Lag(True, 0.0, 0.0, None), EXT4], WARNING, "not seen"),
        ("share-file-system", [changed(EXT4, kind="tmpfs")], WARNING, "in memory"),
        ("share-times", [Times(1, 0.001)], OK, "1 ns"),
        ("share-times", [Times(1, -3600.0)], WARNING, "behind"),
        ("share-times", [Times(2 * 10**9, 0.0)], WARNING, "2 s"),
        ("share-names", [Names(True, False, 255, [], [])], OK, "255"),
        ("share-names", [Names(False, True, 255, ["colon"], [])], OK, "upper and lower"),
        ("share-names", [Names(True, False, 143, [], [])], WARNING, "143"),
        ("share-names", [Names(True, False, 255, ["Hangul"], [])], WARNING, "Hangul"),
        ("share-names", [Names(True, False, 255, [], ["colon"])], WARNING, "changes names"),
        ("share-space", [Space(2**40, 2**39, 10**6)], OK, "512.0 of 1024.0 GiB"),
        ("share-space", [Space(2**40, 2**39, 5)], WARNING, "5 more files"),
    ],
)
def test_findings_about_a_share(
    name: str, facts: list[Measurement], verdict: Verdict, words: str, tmp_path: Path
) -> None:
    finding = examined(name, Known(tmp_path, *facts))
    assert finding.verdict is verdict
    assert words in f"{finding.summary.lower()} {finding.summary} {finding.remedy}"
    assert bool(finding.remedy) == (verdict in (WARNING, FAILED))


def test_low_space_is_shown_with_its_limits(tmp_path: Path) -> None:
    limits = {"root": tmp_path, "low_bytes": 2**30, "resume_bytes": 2**31}
    seen = []
    for free in (2**29, 2**30 + 2**29, 2**32):
        context = Known(tmp_path, Space(2**40, free, None))
        context.settings = context.settings.model_validate({"share": limits})
        seen.append(examined("share-space", context).verdict)
    assert seen == [FAILED, WARNING, OK]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_limit_that_the_disk_can_never_meet_is_shown_by_doctor_and_at_the_start(tmp_path: Path) -> None:
    """The service waits all the same: the disk may grow, and the limit be set to less."""
    with small_disk(tmp_path):
        settings = settings_for(tmp_path).model_copy(
            update={"share": ShareSettings(root=tmp_path, low_bytes=0, resume_bytes=2**30)}
        )
        Share(settings).prepare()
        (result,) = examine(select(["share-limits"]), Context(settings, directly=True))
        assert result.finding.verdict is Verdict.FAILED
        with capture_logs() as lines:
            recheck_share(settings)
        (line,) = [line for line in lines if line["check"] == "share-limits"]
    words = "The whole disk has 1 MiB, so this can never be free: share.resume_bytes (1024 MiB), degradation.disk_low"
    assert result.finding.summary.startswith(words)
    assert line["reason"] == result.finding.summary
    assert "dualface config set" in line["remedy"]


def folders(**values: Any) -> Folders:
    usual = {"mode": 0o2775, "gid": 10, "file_mode": 0o664, "file_uid": 7, "file_gid": 10}
    return Folders(7, 7, 0o002, [Folder("inbox", **{"refused": "", **usual, **values})])


@pytest.mark.parametrize(
    ("values", "verdict", "words"),
    [
        ({}, OK, "in all folders"),
        ({"refused": "EACCES"}, FAILED, "inbox (permission denied)"),
        ({"refused": "ENOENT"}, NOT_APPLICABLE, "yet"),
        ({"file_uid": 65534}, WARNING, "root_squash"),
        ({"file_gid": 7}, WARNING, "setgid"),
        ({"file_gid": 7, "mode": 0o775}, WARNING, "chmod g+s inbox"),
        ({"file_mode": 0o644}, WARNING, "UMask"),
    ],
)
def test_findings_about_permissions(values: dict[str, Any], verdict: Verdict, words: str, tmp_path: Path) -> None:
    finding = examined("share-permissions", Known(tmp_path, folders(**values), EXT4))
    assert finding.verdict is verdict
    assert words in f"{finding.summary} {finding.remedy}"


def test_folders_on_another_mount_are_named(tmp_path: Path) -> None:
    assert examined("share-one-file-system", Known(tmp_path, folders())).verdict is OK
    finding = examined("share-one-file-system", Known(tmp_path, folders(crossing="EXDEV")))
    assert finding.verdict is FAILED
    assert "inbox" in finding.summary


GPU = {"index": 0, "name": "RTX", "compute_capability": "8.9", "vram_total_bytes": 2**34, "vram_used_bytes": 2**30}
DRIVER = {"kernel_module": "590.1", "devices": {"nvidiactl": ""}, "driver": "590.1", "cuda": "13.1", "cards": [GPU]}
CODECS = {"decode": {"h264": "", "av1": "not supported"}, "nvenc": {"opened": 0, "error": "error 2"}}


@pytest.mark.parametrize(
    ("name", "answers", "sections", "verdict", "words"),
    [
        ("driver", {"driver": DRIVER}, {}, OK, "590.1"),
        ("driver", {"driver": DRIVER}, {"device": {"backend": "cpu"}}, NOT_APPLICABLE, "cpu"),
        ("driver", {"driver": {**DRIVER, "kernel_module": None, "cards": []}}, {}, NOT_APPLICABLE, "No NVIDIA"),
        (
            "driver",
            {"driver": {**DRIVER, "kernel_module": None, "cards": []}},
            {"device": {"backend": "cuda"}},
            FAILED,
            "Install NVIDIA's driver",
        ),
        ("driver", {"driver": {**DRIVER, "devices": {"nvidia0": "denied"}}}, {}, FAILED, "/dev/nvidia0"),
        ("driver", {"driver": {**DRIVER, "cards": []}}, {}, FAILED, "no GPU answers"),
        ("cards", {"driver": DRIVER}, {}, OK, "1.0 of 16.0 GiB"),
        ("cards", {"driver": DRIVER}, {"device": {"index": 3}}, FAILED, "device.index"),
        ("cards", {"driver": {**DRIVER, "cards": [{**GPU, "vram_used_bytes": 2**34}]}}, {}, WARNING, "vram_guard"),
        ("codecs-cuda", {"cuda": CODECS}, {}, OK, "decodes h264; no NVENC"),
        ("codecs-cuda", {"cuda": CODECS}, {"profiles": {"p": {"encoder": "nvenc"}}}, FAILED, "require NVENC: p"),
        ("codecs-cuda", {"cuda": {**CODECS, "decode": {"h264": "no"}}}, {}, WARNING, "nothing"),
        ("codecs-cpu", {"cpu": {"decode": {"h264": "", "av1": "x"}, "encode": {"aac": ""}}}, {}, WARNING, "av1 (x)"),
        ("codecs-cpu", {"cpu": {"decode": {"h264": "broken"}, "encode": {"aac": ""}}}, {}, FAILED, "PyAV"),
        (
            "inference",
            {"inference": {"onnxruntime": "1", "providers": ["CPUExecutionProvider"], "tensorrt": None}},
            {"device": {"backend": "cuda"}},
            WARNING,
            "onnxruntime-gpu",
        ),
        ("inference", {"inference": {"onnxruntime": "1", "providers": [], "tensorrt": None}}, {}, FAILED, "again"),
        ("cache", {"cache": {"directory": "/c", "refused": "denied", "free_bytes": 0}}, {}, WARNING, "CACHE_DIRECTORY"),
        ("cache", {"cache": {"directory": "/c", "refused": "", "free_bytes": 5}}, {}, WARNING, "free space"),
    ],
)
def test_findings_about_devices(
    name: str, answers: dict[str, Any], sections: dict[str, Any], verdict: Verdict, words: str, tmp_path: Path
) -> None:
    finding = examined(name, Known(tmp_path, answers=answers, **sections))
    assert finding.verdict is verdict
    assert words in f"{finding.summary} {finding.remedy}"


def test_limits_that_leave_no_room_are_found(tmp_path: Path) -> None:
    limits = {"address_space_bytes": 2**28}
    context = Context(settings_for(tmp_path, workers={"limits": limits}, device={"backend": "cpu"}))
    (result,) = examine(select(["limits"]), context)
    assert result.finding.verdict is FAILED
    assert "address_space_bytes" in f"{result.finding.summary} {result.finding.remedy}"


# -- versions


def test_versions_are_compared_by_numbers() -> None:
    tested = Verified("x", "1.9", "1.10")
    verdicts = {version: tested.verdict(version) for version in ("1.8.9", "1.9", "1.9.0", "1.10.7", "1.11", "2.0rc1")}
    assert verdicts == {"1.8.9": "older", "1.9": "", "1.9.0": "", "1.10.7": "", "1.11": "newer", "2.0rc1": "newer"}


# -- the list of checks


def test_checks_at_start_exist() -> None:
    assert [found.name for found in select(AT_START)] == list(AT_START)


def test_checks_are_defined_where_they_belong() -> None:
    modules = {module.__name__ for module in (cluster, device, host, observers, share, software)}
    assert {found.function.__module__ for found in CHECKS.values()} == modules


def test_an_account_is_taken_from_the_unit_only_by_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from daemon.diagnostics.checks.unit import Unit  # noqa: PLC0415

    context = Context(settings_for(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    context.unit = Unit("loaded", user="nobody", umask=0o002, cache="/var/cache/dualface")
    assert isinstance(context.account, Account)
    assert (context.user, context.account.umask) == ("nobody", 0o002)
    assert Context(settings_for(tmp_path), directly=True).account is None
