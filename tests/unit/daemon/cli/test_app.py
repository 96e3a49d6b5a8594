"""The command: exit codes, and one sentence with a remedy instead of a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest
import structlog
import typer

from daemon.cli import app as cli
from daemon.config import loader as config
from daemon.config import overrides
from daemon.share import leases
from daemon.share.leases import Lease
from daemon.share.reach import NoShareError
from daemon.status.model import FailedJob, FinishedJob, RunningJob, ServiceStatus
from tests.support.share import make_share

Dualface = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dualface(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Dualface]:
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "absent.yaml")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dualface", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        shown = capsys.readouterr()
        return int(end.value.code or 0), shown.out, shown.err

    yield call
    structlog.reset_defaults()  # a command may have set up its log on a stream that is gone by now


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUALFACE__SHARE__ROOT", str(tmp_path))
    make_share(tmp_path)
    return tmp_path


def test_help_shows_examples_and_every_command(dualface: Dualface) -> None:
    code, out, _ = dualface("--help")
    assert code == 0
    for word in ("dualface demo", "--output out", "run", "process", "status", "config"):
        assert word in out


def test_a_wrong_configuration_is_wrong_usage(dualface: Dualface, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("shar: {}\nlimits: {pixels: 1}\n")
    code, out, err = dualface("config", "check", path)
    assert (code, out) == (cli.EXIT_USAGE, "")
    assert "did you mean share?" in err
    assert "limits.pixels" in err
    assert "Traceback" not in err
    assert dualface("run", "--config", path)[0] == cli.EXIT_USAGE


def test_debug_shows_where_an_error_arose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["dualface", "--debug", "config", "check", str(tmp_path / "none")])
    with pytest.raises(config.InvalidConfigError):
        cli.main()


def test_a_valid_configuration_is_confirmed(dualface: Dualface, tmp_path: Path) -> None:
    (tmp_path / "right.yaml").write_text("settle: {local_s: 2}\n")
    code, out, _ = dualface("config", "check", tmp_path / "right.yaml")
    assert code == 0
    assert "is a valid configuration" in out


def test_values_are_shown_with_unit_origin_and_description(dualface: Dualface, share: Path) -> None:
    _, out, _ = dualface("config", "show", "--origin")
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in out.splitlines())}
    assert rows["share.root"][:3] == [str(share), "", "environment DUALFACE__SHARE__ROOT"]
    assert rows["settle.local_s"] == ["5.0", "s", "default", "Quiet time on local disks"]


def test_names_that_are_left_alone_are_shown_with_who_makes_them(dualface: Dualface) -> None:
    code, out, _ = dualface("config", "show", "--ignored")
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in out.splitlines())}
    assert code == 0
    assert rows["@eaDir"][:3] == ["system", "", "Synology DSM indexes and thumbnails"]
    assert rows["*.fcpbundle"][:3] == ["bundle", "folder", "Final Cut Pro"]
    assert all(len(row) == 4 and row[3] for row in rows.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["process"], "FILE"),
        (["process", "a.mp4"], "--output"),
        (["process", "a.mp4", "-o", "out", "--profile", "fsat"], "no profile 'fsat'"),
        (["process", "a.mp4", "-o", "out", "--set", "crf=99"], "profiles.default.crf"),
        (["process", "a.mp4", "-o", "out", "--set", "crf"], "KEY=VALUE"),
        (["process", "a.mp4", "-o", "out", "--set", "crg=1"], "did you mean profiles.default.crf?"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_explained(dualface: Dualface, arguments: list[str], words: str) -> None:
    code, _, err = dualface(*arguments)
    assert code == cli.EXIT_USAGE
    assert words in err


def test_an_output_folder_that_cannot_be_made_is_the_environments_fault(dualface: Dualface, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = dualface("process", "a.mp4", "--output", tmp_path / "file" / "out")
    assert code == cli.EXIT_ENVIRONMENT
    assert "Name a folder" in err


def test_a_missing_recording_fails_alone(dualface: Dualface, tmp_path: Path) -> None:
    code, _, err = dualface("process", tmp_path / "none.mp4", "--output", tmp_path / "out")
    assert code == cli.EXIT_FAILED
    assert "none.mp4" in err
    assert json.loads((tmp_path / "out" / "none.report.json").read_bytes())["status"] == "failed"


def test_no_status_is_the_environments_fault(dualface: Dualface, share: Path) -> None:
    code, _, err = dualface("status")
    assert code == cli.EXIT_ENVIRONMENT
    assert str(share) in err


def test_the_status_of_the_share_is_shown(dualface: Dualface, share: Path) -> None:
    status = ServiceStatus(
        host="nas1",
        pid=1,
        state="working",
        updated_at="2024-05-01T10:00:00+00:00",
        queued=3,
        running=[RunningJob("1", "inbox/a.mp4", "render", 41.7, 55.2, 12, "normal", 1)],
        finished=[FinishedJob("2", "inbox/b.mp4", "outbox/b.dual.mp4", "b.dual.mp4", "succeeded", "All fine", "T")],
        failed=[FailedJob("3", "inbox/[c].mp4", "NO_VIDEO", "No video.", "Export it again.", "T")],
    )
    (share / "outbox" / "status.json").write_text(json.dumps(asdict(status)))
    job = share / ".dualface" / "jobs" / "1"
    job.mkdir(parents=True)
    leases.write(job, Lease("nas1", 1, "boot"))
    code, out, _ = dualface("status")
    assert code == 0
    for words in ("working", "3 waiting", "reported 0 s ago", "42", "All fine", "[c].mp4", "again."):
        assert words in out
    document = json.loads(dualface("status", "--json")[1])
    assert document["alive"] is True
    assert {key: document[key] for key in asdict(status) if key != "hosts"} == {
        key: value for key, value in asdict(status).items() if key != "hosts"
    }


def test_a_setting_without_section_belongs_to_the_profile() -> None:
    found = overrides.parse(["crf=18", "detect.rate_hz = 5", "limits.pixels=5000", "missing=freeze"], "fast")
    assert found == {
        "profiles.fast.crf": 18, "profiles.fast.detect.rate_hz": 5, "limits.pixels": 5000,
        "profiles.fast.missing": "freeze",
    }  # fmt: skip


def test_a_demonstration_that_cannot_begin_is_explained(dualface: Dualface, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = dualface("demo", tmp_path / "file")
    assert code == cli.EXIT_FAILED
    assert "Name another folder." in err


COMMANDS = [
    ["run"], ["process"], ["demo"], ["status"], ["pause"], ["resume"], ["drain"], ["retry"], ["doctor"], ["probe"],
    ["bench"], ["config", "check"], ["config", "show"], ["config", "set"], ["config", "schema"], ["config", "sample"],
    ["node"], ["cluster", "start"], ["cluster", "status"],
    ["engines", "list"], ["engines", "build"], ["engines", "bench"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_examples_of_it(dualface: Dualface, command: list[str]) -> None:
    code, out, _ = dualface(*command, "--help")
    assert code == 0
    assert f"dualface {' '.join(command)}" in out.partition("Examples:")[2]


def test_no_command_is_forgotten() -> None:
    click_app = typer.main.get_command(cli.app)
    found = {(name,) for name, command in click_app.commands.items() if not hasattr(command, "commands")}
    found |= {
        (name, inner)
        for name, command in click_app.commands.items()
        if hasattr(command, "commands")
        for inner in command.commands
    }
    assert found == {tuple(command) for command in COMMANDS}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("dualface config set settle.l", {"settle.local_s"}),
        ("dualface process x.mp4 --profile a", {"archive"}),
        ("dualface retry l", {"lost.mp4"}),
        ("dualface pa", {"pause"}),
    ],
)
def test_the_shell_completes(share: Path, words: str, found: set[str]) -> None:
    (share / "failed" / "lost.mp4").touch()
    environment = {
        **os.environ,
        "_DUALFACE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run([sys.executable, "-m", "daemon"], env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == found


def test_a_wrong_value_is_refused_with_all_that_is_wrong(dualface: Dualface, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    code, _, err = dualface("config", "set", "settle.local_s", "soon", "--reason", "why not", "--config", path)
    assert code == cli.EXIT_USAGE
    assert "'soon' is not allowed; give a number from 0 up to 86400 (s)" in err
    assert "Nothing was written." in err
    assert not path.exists()
    code, out, _ = dualface("config", "set", "settle.local_s", "7", "-r", "why not", "--config", path)
    assert (code, "settle.local_s is 7.0 now, was 5.0" in out) == (0, True)
    assert dualface("config", "show", "settle.local_s", "--origin", "-c", path)[1].split("\t")[:4] == [
        "settle.local_s", "7.0", "s", f"{path}, line 3",
    ]  # fmt: skip


def test_debug_may_stand_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["dualface", "status", "--root", str(tmp_path / "none"), "--debug"])
    with pytest.raises(NoShareError):
        cli.main()


def test_a_dry_run_of_process_shows_the_outputs(dualface: Dualface, tmp_path: Path) -> None:
    for name in ("a.mp4", "sub/a.mov", "empty.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if "empty" in name else "film")
    (tmp_path / "a.dualface.yaml").write_text("profile: archive\n")
    out_dir = tmp_path / "out"
    files = [tmp_path / name for name in ("a.mp4", "sub/a.mov", "empty.mp4", "none.mp4")]
    code, out, _ = dualface("process", *files, "-o", out_dir, "--dry-run")
    assert code == cli.EXIT_FAILED
    assert f"{files[0]} -> {out_dir / 'a.dual.mp4'} (profile archive)" in out
    assert f"{files[1]} -> {out_dir / 'a.dual-2.mp4'} (profile default)" in out
    assert f"{files[2]} would fail" in out
    assert f"{files[3]} would fail" in out
    assert not out_dir.exists()


@pytest.mark.parametrize("command", [["status"], ["pause"], ["resume"], ["drain"], ["retry", "x"], ["run", "-n"]])
def test_a_share_that_is_away_is_one_sentence(dualface: Dualface, tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"share: {{root: {tmp_path / 'none'}}}\n")
    code, out, err = dualface(*command, "--config", path)
    assert (code, out) == (cli.EXIT_ENVIRONMENT, "")
    assert "does not exist" in err
    assert "--root" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")
def test_a_host_that_cannot_join_is_told_what_to_do(dualface: Dualface, share: Path) -> None:
    code, _, err = dualface("node", "--address", "192.0.2.10")
    assert code == 3
    assert "No head has been started on the share" in err
    assert "dualface cluster start" in err


def test_without_a_cluster_there_are_no_nodes(dualface: Dualface, share: Path) -> None:
    code, out, _ = dualface("cluster", "status", "--root", str(share))
    assert code == 3
    assert "No service reports a cluster" in out
    assert json.loads(dualface("cluster", "status", "--root", str(share), "--json")[1]) == []
