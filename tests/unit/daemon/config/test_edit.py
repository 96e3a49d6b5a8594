"""`config set`: one value changes, everything else in the file stays, and nothing invalid is written."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest
import yaml

from daemon.config import loader as config
from daemon.config.edit import NotWritableError, OverruledError, UnknownKeyError, set_value
from daemon.config.render import sample_text
from daemon.errors import ConfigError

BY_HAND = """\
# ours since 2019
settle: {local_s: 3}   # the copy station is slow
inboxes:
- path: in    # one
- {path: in2, profile: fast}
profiles:
    default:
        crf: 21
        # nobody knows why
        missing: "hold"
"""
VALUES = {
    "settle.local_s": "7",
    "workers.concurrent_jobs": "auto",
    "profiles.default.crf": "18",
    "profiles.fast.camera.dead_zone": "0.2",
    "profiles.new one.preset": "slow",
    "scan.extensions": "[mp4, mov]",
    "scan.events": "off",
    "inboxes.0.priority": "3",
    "share.root": "/mnt/nas 한국",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("text", [sample_text(), BY_HAND, "", "# nothing yet\n", "{}\n", "log:\n"])
@pytest.mark.parametrize("seed", [1, 2])
def test_one_value_changes_and_everything_else_stays(file: Path, text: str, seed: int) -> None:
    chosen = random.Random(seed).sample(sorted(VALUES), 3 if len(text) > 1000 else len(VALUES) - 1)
    file.write_text(text, encoding="utf-8")
    before = config.load(file).model_dump(mode="json")
    for key in chosen:
        set_value(file, key, VALUES[key], f"because of {key}")
    written = file.read_text(encoding="utf-8")
    kept = comments(written)
    assert all(comment in kept for comment in comments(text))
    assert all(any(line.endswith(f": because of {key}") for line in kept) for key in chosen)
    loaded = config.load_with_origins(file)
    expected = {**before}
    for key in chosen:
        _put(expected, key.split("."), yaml.safe_load(VALUES[key]) if key != "scan.events" else "off")
    del expected["profiles"]  # new ones take their other values from elsewhere
    assert {k: v for k, v in loaded.settings.model_dump(mode="json").items() if k != "profiles"} == expected
    assert all(str(file) in loaded.origin(path) for key in chosen if (path := tuple(_part(p) for p in key.split("."))))


def _part(part: str) -> str | int:
    return int(part) if part.isdecimal() else part


def _put(values: dict, path: list[str], value: object) -> None:  # type: ignore[type-arg]
    *outer, last = (_part(part) for part in path)
    section = values
    for part in outer:
        section = section[part] if isinstance(part, int) else section.setdefault(part, {})
    section[last] = value


def test_the_comment_has_time_user_former_value_and_reason(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "kim")
    set_value(file, "workers.max_attempts", "5", "the NAS\nis slow")
    change = set_value(file, "workers.max_attempts", "4", "better now")
    lines = [line.strip() for line in file.read_text().splitlines()]
    assert lines[0] == "workers:"
    assert lines[1].endswith("UTC, kim, was 3: the NAS is slow")
    assert lines[2].endswith("UTC, kim, was 5: better now")
    assert lines[3:] == ["max_attempts: 4"]
    assert (change.before, change.after) == (5, 4)
    assert "systemctl reload" in change.summary()
    assert "systemctl restart" in set_value(file, "device.backend", "cpu", "no GPU").summary()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("settle.locals", "3", "no key"),
        ("crf", "3", "no key"),
        ("", "3", "no key"),
        ("settle.local_s", "soon", "settle.local_s"),
        ("settle", "3", "settle"),
        ("leases.expire_s", "1", "leases.expire_s"),
        ("profiles.default.preset", "[", "not YAML"),
        ("inboxes.5.path", "x", "1 entries"),
        ("inboxes.0.profile", "nobody", "no profile 'nobody'"),
    ],
)
def test_an_invalid_value_is_not_written(file: Path, key: str, value: str, words: str) -> None:
    text = sample_text()
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        set_value(file, key, value, "why not")
    assert file.read_text() == text
    assert list(file.parent.iterdir()) == [file]


def test_an_invalid_value_can_be_corrected(file: Path) -> None:
    file.write_text("profiles: {default: {crf: 99}}\n")
    set_value(file, "profiles.default.crf", "20", "a slip")
    assert config.load(file).profiles["default"].crf == 20
    file.write_text("profiles: {default: {crf: 99}\n")
    with pytest.raises(config.InvalidConfigError, match="not YAML"):
        set_value(file, "profiles.default.crf", "20", "a slip")


def test_a_key_of_a_drop_in_is_refused(file: Path) -> None:
    (file.parent / "config.d").mkdir()
    (file.parent / "config.d" / "10-nas.yaml").write_text("settle:\n  local_s: 9\n")
    with pytest.raises(OverruledError, match=r"10-nas.yaml, line 2"):
        set_value(file, "settle.local_s", "3", "why not")
    assert not file.exists()


def test_mode_and_link_stay(file: Path) -> None:
    real = file.with_name("real.yaml")
    real.write_text("")
    real.chmod(0o640)
    file.symlink_to(real)
    set_value(file, "settle.local_s", "3", "why not")
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert config.load(real).settle.local_s == 3


def test_a_missing_folder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(NotWritableError, match="No such file"):
        set_value(tmp_path / "none" / "config.yaml", "settle.local_s", "3", "why not")


def test_an_unknown_key_names_the_nearest(file: Path) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        set_value(file, "settle.local", "3", "why not")
    assert caught.value.remedy == "Did you mean settle.local_s?"
