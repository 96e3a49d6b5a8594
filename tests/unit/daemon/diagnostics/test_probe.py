"""Proposals from measurements, the file that holds them, and their precedence."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs
from typer.testing import CliRunner

from daemon.cli import probe_command
from daemon.cli.engines_command import app as engines_app
from daemon.config import loader as config
from daemon.diagnostics import probe
from daemon.worker import subprocess_call
from engines.settings import DeviceSettings
from tests.support.gpu_presence import count_gpus

GIB = 2**30
SETTINGS = DeviceSettings()


def measured(**changes: Any) -> dict[str, Any]:
    """A 16-core machine with a GPU that has NVENC."""
    found: dict[str, Any] = {
        "cores": 16,
        "memory_bytes": 128 * GIB,
        "device": "cuda:0 (NVIDIA RTX 4090)",
        "notes": [],
        "gpus": [
            {
                "index": 0, "name": "NVIDIA RTX 4090", "driver": "590.1", "compute_capability": "8.9",
                "vram_total_bytes": 24 * GIB, "vram_used_bytes": GIB,
            }
        ],
        "nvenc": {"opened": 12, "error": "NVENC returned error 10", "status": 10},
        "tensorrt": "tensorrt-rtx 1.7",
        "decoder": "nvdec",
        "decode_fps": {"1": 600.0, "2": 1100.0, "4": 2000.0, "8": 2050.0},
        "inference": "tensorrt-rtx-fp16",
        "detect_fps": {"1": 900.0, "8": 6000.0, "16": 8900.0, "32": 9200.0},
        "encoder": "h264_nvenc",
        "encode_fps": 900.0,
    }  # fmt: skip
    return found | changes


def proposed(**changes: Any) -> dict[str, dict[str, Any]]:
    return probe.propose(measured(**changes), SETTINGS).settings


def test_the_scarcest_part_of_a_gpu_limits_its_jobs() -> None:
    assert proposed()["workers"]["concurrent_jobs"] == 4
    assert proposed(nvenc={"opened": 3, "error": "", "status": 10})["workers"]["concurrent_jobs"] == 3
    gpu = measured()["gpus"][0]
    full = {**gpu, "vram_used_bytes": 14 * GIB}
    assert proposed(gpus=[full])["workers"]["concurrent_jobs"] == 1
    assert proposed(decode_fps={"1": 600.0, "2": 601.0})["workers"]["concurrent_jobs"] == 1


def test_several_gpus_carry_more_jobs_until_something_else_is_scarce() -> None:
    gpu = measured()["gpus"][0]
    two = measured(gpus=[gpu, {**gpu, "index": 1}])
    for index, jobs in (("auto", 8), ((0, 1), 8), ((1,), 4), (0, 4)):
        found = probe.propose(two, DeviceSettings(index=index))
        assert found.settings["workers"]["concurrent_jobs"] == jobs, index
    assert "each of 2 GPUs" in probe.propose(two, DeviceSettings(index="auto")).reasons["workers.concurrent_jobs"]
    fuller = measured(gpus=[gpu, {**gpu, "index": 1, "vram_used_bytes": 15 * GIB}], decode_fps={"16": 3000.0})
    alone = probe.propose(fuller, DeviceSettings(index=1)).settings["workers"]["concurrent_jobs"]
    both = probe.propose(fuller, DeviceSettings(index="auto")).settings["workers"]["concurrent_jobs"]
    assert (alone, both) == (1, 17 + 1)
    without = measured(gpus=two["gpus"], nvenc={"opened": 0, "error": "no", "status": 2}, cores=12)
    assert probe.propose(without, DeviceSettings(index="auto")).settings["workers"]["concurrent_jobs"] == 3


def test_a_gpu_without_an_encoder_leaves_encoding_to_the_cores() -> None:
    without = {"opened": 0, "error": "NVENC returned error 2", "status": 2}
    many = {"1": 600.0, "4": 2000.0, "8": 3200.0}
    found = probe.propose(measured(nvenc=without, decode_fps=many), SETTINGS)
    assert found.settings["workers"]["concurrent_jobs"] == 4
    assert "x264" in found.reasons["workers.concurrent_jobs"]
    assert "nvenc_max_sessions" not in found.settings["device"]


def test_the_batch_is_the_smallest_that_is_about_as_fast_as_any() -> None:
    assert proposed()["device"]["max_batch"] == 16
    assert proposed(detect_fps={"1": 200.0, "8": 150.0})["device"]["max_batch"] == 8


def test_without_a_gpu_the_cores_decide_and_the_device_stays_open() -> None:
    found = proposed(device="cpu", gpus=[], nvenc=None, detect_fps={"1": 200.0, "8": 150.0})
    assert found == {"workers": {"concurrent_jobs": 4}, "device": {"max_batch": 8}}


def test_every_proposed_setting_has_a_reason() -> None:
    found = probe.propose(measured(), SETTINGS)
    assert {f"{s}.{key}" for s, values in found.settings.items() for key in values} == found.reasons.keys()
    assert found.settings["device"] == {"backend": "cuda", "max_batch": 16, "nvenc_max_sessions": 12}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a machine on which the probe has left its file."""
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "absent.yaml")
    for name in ("NVENC_MAX_SESSIONS", "MULTISTREAM_BATCH_SIZE", "ENABLE_SOFTWARE_FALLBACK"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config.yaml"
    found = measured()
    probe.write(config.detected_path(path), probe.propose(found, SETTINGS), found, ["dualface", "probe", "--write"])
    return path


def test_saved_settings_are_in_force_and_have_their_origin(path: Path) -> None:
    loaded = config.load_with_origins(path.with_name("config.yaml") if path.exists() else None)
    assert loaded.settings.device.max_batch == SETTINGS.max_batch  # another folder: nothing was found
    path.write_text("")
    loaded = config.load_with_origins(path)
    device = loaded.settings.device
    assert (device.backend, device.max_batch, device.nvenc_max_sessions) == ("cuda", 16, 12)
    assert loaded.settings.workers.concurrent_jobs == 4
    assert loaded.origin(("device", "max_batch")).startswith(f"{path.parent / 'auto_detected.yaml'}, line ")
    assert loaded.origin(("device", "vram_guard")) == "default"


def test_settings_of_people_take_precedence_key_by_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("workers: {concurrent_jobs: 2}\n")
    monkeypatch.setenv("DUALFACE__DEVICE__NVENC_MAX_SESSIONS", "3")
    loaded = config.load_with_origins(path, {"device.max_batch": 24})
    assert loaded.settings.workers.concurrent_jobs == 2
    assert loaded.origin(("workers", "concurrent_jobs")) == f"{path}, line 1"
    assert (loaded.settings.device.nvenc_max_sessions, loaded.settings.device.max_batch) == (3, 24)
    assert loaded.settings.device.backend == "cuda"


def test_the_file_records_measurements_with_time_host_and_command(path: Path) -> None:
    text = config.detected_path(path).read_text(encoding="utf-8")
    assert text.startswith("# Written by")
    provenance = yaml.safe_load(text)["provenance"]
    assert provenance["host"] == socket.gethostname()
    assert provenance["command"] == "dualface probe --write"
    assert (provenance["driver"], provenance["device"]) == ("590.1", "cuda:0 (NVIDIA RTX 4090)")
    assert provenance["measured"] == measured()
    assert provenance["time"].endswith("+00:00")


def test_another_hosts_measurements_are_passed_over_with_a_line_in_the_journal(path: Path) -> None:
    path.write_text("")
    detected = config.detected_path(path)
    detected.write_text(detected.read_text().replace(f"host: {socket.gethostname()}", "host: elsewhere"))
    with capture_logs() as lines:
        assert config.load(path).device == SETTINGS
    assert "elsewhere" in lines[0]["reason"]


def test_a_damaged_file_is_explained_like_any_other(path: Path) -> None:
    path.write_text("")
    detected = config.detected_path(path)
    detected.write_text("settings: {device: {max_batch: 99, backend: cuda}}\n")
    with pytest.raises(config.InvalidConfigError, match=r"device.max_batch \(.*auto_detected.yaml, line 1\)"):
        config.load(path)
    detected.write_text("settings: [")
    with pytest.raises(config.InvalidConfigError, match="not YAML"):
        config.load(path)


def test_a_folder_that_cannot_be_written_is_the_environments_fault(tmp_path: Path) -> None:
    with pytest.raises(probe.ProbeNotSavedError) as caught:
        probe.write(tmp_path / "missing" / "x.yaml", probe.propose(measured(), SETTINGS), measured())
    assert caught.value.environmental


def test_short_names_from_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("")
    monkeypatch.setenv("NVENC_MAX_SESSIONS", "5")
    monkeypatch.setenv("MULTISTREAM_BATCH_SIZE", "8")
    monkeypatch.setenv("ENABLE_SOFTWARE_FALLBACK", "0")
    loaded = config.load_with_origins(path)
    device = loaded.settings.device
    assert (device.nvenc_max_sessions, device.max_batch) == (5, 8)
    assert (device.undecodable, device.nvenc_fallback) == ("fail", False)
    assert loaded.origin(("device", "max_batch")) == "environment MULTISTREAM_BATCH_SIZE"
    monkeypatch.setenv("DUALFACE__DEVICE__MAX_BATCH", "24")
    monkeypatch.setenv("ENABLE_SOFTWARE_FALLBACK", "true")
    device = config.load(path).device
    assert (device.max_batch, device.undecodable, device.nvenc_fallback) == (24, "cpu", True)


def test_wrong_short_names_are_all_explained(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_SOFTWARE_FALLBACK", "perhaps")
    monkeypatch.setenv("MULTISTREAM_BATCH_SIZE", "[")
    path.write_text("")
    with pytest.raises(config.InvalidConfigError) as caught:
        config.load(path)
    assert {p.key: p.origin for p in caught.value.problems} == {
        "device.undecodable": "environment ENABLE_SOFTWARE_FALLBACK",
        "device.max_batch": "environment MULTISTREAM_BATCH_SIZE",
    }


@pytest.mark.slow
def test_this_machine_is_really_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("device: {backend: cpu}\n")
    probe_command.run(path, write=True, as_json=False)
    shown = capsys.readouterr().out
    assert "pyav" in shown
    assert "libx264" in shown
    found = yaml.safe_load(config.detected_path(path).read_text(encoding="utf-8"))["provenance"]["measured"]
    assert min(*found["decode_fps"].values(), *found["detect_fps"].values(), found["encode_fps"]) > 1
    assert config.load(path).device.backend == "cpu"


def test_a_device_that_does_not_work_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("device: {backend: cuda, index: 63}\n")
    with pytest.raises(subprocess_call.AnsweredError, match="CUDA is set as the device") as caught:
        probe_command.run(path, write=False, as_json=True)
    assert (caught.value.code, caught.value.environmental) == ("DEVICE_UNAVAILABLE", True)


def test_a_program_that_dies_is_explained_with_its_last_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doomed.py").write_text(
        "import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos.abort()\n"
    )
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(subprocess_call.ChildFailedError, match=r"status -6:\n  last words"):
        subprocess_call.ask("doomed", [], timeout_s=30)
    with pytest.raises(subprocess_call.ChildFailedError, match="no answer"):
        subprocess_call.ask("slow", [], timeout_s=0.5)


def engines(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(engines_app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_engines_are_built_and_listed_by_the_command(tmp_path: Path) -> None:
    """Really built, for two generations of GPUs that are not here."""
    code, out = engines("build", "--target", "sm89,sm120", "--cache", tmp_path, "--json")
    assert code == 0
    built = json.loads(out)
    assert [(b["name"], b["target"]) for b in built] == [
        ("detector", "sm89"), ("detector", "sm120"), ("embedder", "sm89"), ("embedder", "sm120"),
    ]  # fmt: skip
    assert all(Path(b["path"]).stat().st_size == b["size_bytes"] for b in built)
    Path(built[0]["path"]).write_bytes(b"damaged")
    listed = json.loads(engines("list", "--cache", tmp_path, "--json")[1])
    assert sorted(e["state"] for e in listed["engines"]) == ["damaged", "good", "good", "good"]
    assert [(m["name"], m["licence"]) for m in listed["models"]] == [("detector", "MIT"), ("embedder", "CC0-1.0")]
    assert "sm120" in engines("list", "--cache", tmp_path)[1]


def test_a_target_that_is_none_is_explained(tmp_path: Path) -> None:
    assert engines("build", "--target", "ada", "--cache", tmp_path)[0] == 2
    assert engines("build", "--target", "sm89", "--precision", "int8")[0] == 2
    with pytest.raises(subprocess_call.AnsweredError, match="knows no sm90") as caught:
        engines("build", "--target", "sm90", "--cache", tmp_path)
    assert "sm120" in caught.value.remedy


def test_without_a_gpu_a_target_must_be_named(tmp_path: Path) -> None:
    if count_gpus():
        pytest.skip("there is a GPU here to build for")
    with pytest.raises(subprocess_call.AnsweredError, match="no GPU here"):
        engines("build", "--cache", tmp_path)


def test_models_are_measured_in_every_runtime_that_works_here() -> None:
    rows = json.loads(engines("bench", "--json")[1])
    speeds = {(row["name"], row["runtime"]): row["per_second"] for row in rows if "per_second" in row}
    assert {("detector", "onnxruntime-cpu"), ("embedder", "onnxruntime-cpu")} <= speeds.keys()
    assert all(speed > 0 for row in speeds.values() for speed in row.values())
