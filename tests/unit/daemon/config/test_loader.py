"""Loading the configuration: layers, origins, and messages that list all errors."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import jsonschema
import pytest
import yaml
from structlog.testing import capture_logs

from daemon.config import catalog, render
from daemon.config import loader as config
from daemon.config.profiles import BUILT_IN
from daemon.config.retired_keys import RETIRED
from daemon.config.settings import Settings

CONFIGS = Path(__file__).parents[4] / "configs"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "absent.yaml")


@pytest.fixture
def write(tmp_path: Path):
    def to_file(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def problems(path: Path | None, **overrides: object) -> dict[str, config.Problem]:
    with pytest.raises(config.InvalidConfigError) as caught:
        config.load(path, overrides)
    return {problem.key: problem for problem in caught.value.problems}


@pytest.mark.parametrize("text", ["", "# nothing\n", "share:\nprofiles:\n  default:\n", "{}"])
def test_an_empty_file_is_a_valid_configuration(write, text: str) -> None:
    assert config.load(write(text)) == Settings()


def test_later_layers_win_key_by_key(write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Detected, environment, file, drop-ins in the order of their names, command line: each sets one key more."""
    names = ("local_s", "nfs_s", "smb_s")
    (tmp_path / config.DETECTED_NAME).write_text(
        f"provenance: {{host: {socket.gethostname()}}}\n"
        "settings: {device: {max_batch: 1}, workers: {nice: 1}, settle: {local_s: 1, nfs_s: 1, smb_s: 1}}\n"
    )
    monkeypatch.setenv("DUALFACE__WORKERS__NICE", "2")
    monkeypatch.setenv("MULTISTREAM_BATCH_SIZE", "2")
    for name in names:
        monkeypatch.setenv(f"DUALFACE__SETTLE__{name.upper()}", "2")
    path = write("settle: {local_s: 3, nfs_s: 3, smb_s: 3}\ndevice: {max_batch: 3}\n")
    drop_ins = tmp_path / "config.d"
    drop_ins.mkdir()
    (drop_ins / "20.yaml").write_text("settle: {smb_s: 5}\n")
    (drop_ins / "10.yaml").write_text("settle: {nfs_s: 4, smb_s: 4}\n")
    (drop_ins / ".20.yaml.swp").write_text("settle: {smb_s: 99}\n")
    loaded = config.load_with_origins(path, {"retry.first_s": 6})
    s = loaded.settings
    assert (s.workers.nice, s.device.max_batch, s.settle.local_s, s.settle.nfs_s, s.settle.smb_s, s.retry.first_s) == (
        2, 3, 3, 4, 5, 6,
    )  # fmt: skip
    assert loaded.origin(("workers", "nice")) == "environment DUALFACE__WORKERS__NICE"
    assert loaded.origin(("settle", "smb_s")) == f"{drop_ins / '20.yaml'}, line 1"
    assert loaded.hidden(("device", "max_batch"))[0] == "environment MULTISTREAM_BATCH_SIZE"
    assert [origin.split(",")[0].rsplit("/")[-1] for origin in loaded.hidden(("settle", "smb_s"))] == [
        "10.yaml", "config.yaml", "environment DUALFACE__SETTLE__SMB_S", "auto_detected.yaml",
    ]  # fmt: skip


def test_built_in_profiles_can_be_changed_key_by_key(write) -> None:
    loaded = config.load_with_origins(write("profiles: {archive: {crf: 12}, small: {crf: 26}}\n"))
    profiles = loaded.settings.profiles
    assert set(profiles) == {"default", "small", *BUILT_IN}
    assert (profiles["archive"].crf, profiles["archive"].preset) == (12, "slow")
    assert (profiles["small"].crf, profiles["small"].preset) == (26, "veryfast")
    origins = {row.key: row.origin for row in render.rows(loaded)}
    assert origins["profiles.archive.preset"] == "built-in profile archive"
    assert "profiles.archive.camera.settle" not in origins, "what a built-in profile leaves out would be noise"
    assert {row.key: row.origin for row in render.rows(loaded, "profiles.archive")}[
        "profiles.archive.camera.settle"
    ] == "default"


def test_a_retired_key_is_ignored_with_a_warning(write) -> None:
    path = write("degradation:\n  lowest:\n    encoder_sessions: downscale\n    vram_guard: downscale\n")
    with capture_logs() as lines:
        loaded = config.load_with_origins(path)
    assert loaded.settings.degradation.lowest.vram_guard == "downscale"
    (line,) = lines
    assert (line["log_level"], line["key"]) == ("warning", "degradation.lowest.encoder_sessions")
    assert line["origin"] == f"{path}, line 3"
    assert "encoder_busy" in line["reason"]


def test_no_retired_key_exists() -> None:
    assert [path for path in RETIRED if catalog.find(path)] == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_profiles_as_files_are_up_to_date_and_change_nothing(name: str) -> None:
    path = CONFIGS / "profiles" / f"{name}.yaml"
    command = f"dualface config sample --profile {name} > configs/profiles/{name}.yaml"
    assert path.read_text(encoding="utf-8") == render.profile_text(name), f"run: {command}"
    assert config.load(path) == Settings()


def test_every_built_in_profile_has_a_file_and_no_other() -> None:
    assert {path.stem for path in (CONFIGS / "profiles").iterdir()} == set(BUILT_IN)


def test_off_is_a_string(write) -> None:
    assert config.load(write("scan: {events: off}\n")).scan.events == "off"


def test_every_value_has_its_origin(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("share:\n  root: /mnt/nas\ninboxes:\n  - path: a\n")
    monkeypatch.setenv("DUALFACE__SETTLE", "{local_s: 3}")
    loaded = config.load_with_origins(path, {"limits.pixels": 5000})
    origins = {row.key: row.origin for row in render.rows(loaded)}
    assert origins["share.root"] == f"{path}, line 2"
    assert origins["inboxes.0.path"] == f"{path}, line 4"
    assert origins["inboxes.0.profile"] == origins["settle.nfs_s"] == origins["share.low_bytes"] == "default"
    assert origins["settle.local_s"] == "environment DUALFACE__SETTLE"
    assert origins["limits.pixels"] == "--set limits.pixels"


def test_variables_without_our_prefix_set_nothing(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARE", '{"root": "/elsewhere"}')
    monkeypatch.setenv("SHARE__ROOT", "/elsewhere")
    assert config.load(write("")) == Settings()


def test_a_list_from_a_later_layer_replaces_the_list(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALFACE__INBOXES", "[{path: a, priority: 3}, {path: c}]")
    path = write("inboxes: [{path: b}]\n")
    loaded = config.load_with_origins(path)
    assert [(inbox.path, inbox.priority) for inbox in loaded.settings.inboxes] == [("b", 0)]
    assert loaded.origin(("inboxes", 0, "path")) == f"{path}, line 1"
    assert loaded.origin(("inboxes", 0, "priority")) == "default"


def test_all_errors_are_reported_in_one_run(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALFACE__SEGMENTS__SECONDS", "0")
    path = write(
        "crf: 20\nsetle: {local_s: 4}\nworkers:\n  concurrent_jobs: maybe\n"
        "profiles:\n  fast:\n    crf: 99\n    presett: fast\n    detect: 5\n"
        "inboxes: [{path: in, profile: nope}]\nleases: {renew_s: 500}\nscan: {extensions: [a/b]}\n"
    )
    found = problems(path, **{"limits.pixels": 1})
    assert found.keys() == {
        "crf", "setle", "workers.concurrent_jobs", "profiles.fast.crf", "profiles.fast.presett",
        "profiles.fast.detect", "inboxes.0.profile", "leases.expire_s", "scan.extensions",
        "segments.seconds", "limits.pixels",
    }  # fmt: skip
    assert found["setle"].remedy == "did you mean settle?"
    assert found["profiles.fast.presett"].remedy == "did you mean profiles.fast.preset?"
    assert found["crf"].remedy == "it belongs at profiles.NAME.crf"
    assert found["profiles.fast.crf"].remedy == "give a whole number from 0 up to 51 (CRF)"
    assert found["profiles.fast.crf"].origin == f"{path}, line 7"
    assert found["workers.concurrent_jobs"].remedy == "give auto or a whole number from 1 up to 256 (jobs)"
    assert "no profile 'nope'" in found["inboxes.0.profile"].what
    assert found["segments.seconds"].origin == "environment DUALFACE__SEGMENTS__SECONDS"
    assert found["limits.pixels"].origin == "--set limits.pixels"


def test_the_message_names_every_key(write) -> None:
    with pytest.raises(config.InvalidConfigError, match="2 problems") as caught:
        config.load(write("a: 1\nlog: {level: loud}\n"))
    assert re.search(r"^  a \(.*line 1\): there is no such key; known here: share, ", caught.value.message, re.M)
    assert re.search(r"^  log\.level .*'loud'.*one of debug, info, warning, error", caught.value.message, re.M)


def test_a_key_given_twice_is_an_error(write) -> None:
    assert problems(write("log:\n  level: info\n  level: debug\n"))["log.level"].what == "it is given twice"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: b: c\n", "not YAML"),
        ("- a\n", "does not hold"),
        ("just text", "does not hold"),
        ("a: [1\n", "not YAML"),
        ("log: !!python/object:os.system {}\n", "not YAML"),
        ("a: *nowhere\n", "not YAML"),
        ("a: &x [*x]\n", "to itself"),
        ("a: &x {b: *x}\n", "to itself"),
    ],
)
def test_a_file_that_is_not_a_configuration_is_explained(write, text: str, what: str) -> None:
    assert what in problems(write(text))[""].what


def test_a_file_that_cannot_be_read_is_explained(tmp_path: Path) -> None:
    assert "No such file" in problems(tmp_path / "nothing.yaml")[""].what
    assert "directory" in problems(tmp_path)[""].what
    (tmp_path / "latin.yaml").write_bytes("a: ä".encode("latin-1"))
    assert "UTF-8" in problems(tmp_path / "latin.yaml")[""].what


def test_values_and_sections_in_each_others_place_are_explained(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALFACE__LOG", "loud")
    monkeypatch.setenv("DUALFACE__LOG__LEVEL", "debug")
    found = problems(write("settle: 5\nsegments: {seconds: {a: 1}}\nprofiles: [1]\ninboxes: []\n"))
    assert "one of them" in found["log.level"].remedy
    assert "below it" in found["settle"].remedy
    assert "give a number from 1" in found["segments.seconds"].remedy
    assert {"profiles", "inboxes", "log"} <= found.keys()


def test_no_key_of_a_section_is_missing_from_the_catalogue() -> None:
    found = {key.path for key in catalog.entries() if isinstance(key, catalog.Key)}
    assert ("profiles", "*", "crf") in found
    shown = {row.key for row in render.rows(config.load_with_origins())}
    concrete = {path for path in found if "*" not in path}
    assert {".".join(path) for path in concrete} < shown
    assert all(entry.description for entry in catalog.entries()), "every key and section has a description"


def test_the_sample_is_up_to_date_and_changes_nothing() -> None:
    text = (CONFIGS / "config.yaml").read_text(encoding="utf-8")
    assert text == render.sample_text(), "run: dualface config sample > configs/config.yaml"
    assert config.load(CONFIGS / "config.yaml") == Settings()


def test_the_sample_shows_the_defaults(write) -> None:
    text = (CONFIGS / "config.yaml").read_text(encoding="utf-8")
    path = write(re.sub(r"^( *)#(\w+:)", r"\1\2", text, flags=re.M))
    loaded = config.load_with_origins(path)
    assert loaded.settings == Settings()
    assert all(row.origin != "default" for row in render.rows(loaded))


def test_the_schema_is_up_to_date_and_agrees_with_the_models() -> None:
    text = (CONFIGS / "config.schema.json").read_text(encoding="utf-8")
    assert text == render.schema_text(), "run: dualface config schema > configs/config.schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(text))
    validator.check_schema(validator.schema)
    assert validator.is_valid(yaml.safe_load("profiles: {fast: {crf: 18}}"))
    assert not validator.is_valid(yaml.safe_load("profiles: {fast: {crf: 99}}"))
    assert not validator.is_valid(yaml.safe_load("profile: {}"))
