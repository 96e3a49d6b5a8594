"""`dualface process` as a user runs it: results, failures, interruptions, sidecars."""

import gzip
import json
import signal
import subprocess
import sys
import time

import pytest

from tests.support.recordings import packets, write_recording
from tests.support.service import PATIENCE_S, fill


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("in") / "an interview.mp4", seconds=3)


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "daemon", "process", *map(str, arguments), "--set", "segments.seconds=1"]


def process(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def tracks(path):
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_a_file_that_fails_does_not_keep_the_others(recording, tmp_path):
    wrong = tmp_path / "letter.mp4"
    wrong.write_text("Dear Sir or Madam,\n" * 50)
    out = tmp_path / "out"
    done = process(wrong, recording, tmp_path / "missing.mp4", "--output", out)
    assert done.returncode == 1
    assert sorted(p.name for p in out.iterdir()) == [
        "an interview.dual.mp4",
        "an interview.dual.preview.jpg",
        "an interview.dual.report.json",
        "an interview.dual.tracks.jsonl.gz",
        "letter.report.json",
        "missing.report.json",
    ]
    report = json.loads((out / "letter.report.json").read_bytes())
    assert (report["status"], report["error"]["code"]) == ("failed", "NOT_MEDIA")
    assert "Traceback" not in done.stderr
    assert wrong.read_text().startswith("Dear Sir")


def test_a_second_run_overwrites_nothing(recording, tmp_path):
    for _ in range(2):
        assert process(recording, "--output", tmp_path, "--report-html").returncode == 0
    first, second = tmp_path / "an interview.dual.mp4", tmp_path / "an interview.dual-2.mp4"
    assert packets(first) == packets(second)
    assert json.loads((tmp_path / "an interview.dual-2.report.json").read_bytes())["output"]["path"] == str(second)
    pages = {path.name for path in tmp_path.glob("*.html")}
    assert pages == {"an interview.dual.report.html", "an interview.dual-2.report.html"}


def test_an_interrupted_command_goes_on_when_it_is_given_again(recording, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert process(recording, "--output", whole).returncode == 0
    running = subprocess.Popen(command(recording, "--output", parts), stderr=subprocess.PIPE, text=True)
    checkpoint = f"{parts}/.dualface"
    deadline = time.monotonic() + 60
    while not list(parts.glob(".dualface/*/checkpoint.json")):
        assert time.monotonic() < deadline and running.poll() is None, checkpoint
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, output = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 1
    assert "Traceback" not in output
    assert "Stopping: running files finish their segment" in output
    assert "continues where it stopped" in output
    assert "failed" not in output
    assert not list(parts.glob("*.mp4"))
    assert process(recording, "--output", parts).returncode == 0
    name = "an interview.dual.mp4"
    assert packets(parts / name) == packets(whole / name)
    sheet = "an interview.dual.preview.jpg"
    assert (parts / sheet).read_bytes() == (whole / sheet).read_bytes()
    assert json.loads((parts / "an interview.dual.report.json").read_bytes())["resilience"]["resumed_at_s"]
    assert not (parts / ".dualface").exists()


def test_a_second_interruption_ends_at_once_and_nothing_is_half_done(recording, tmp_path):
    running = subprocess.Popen(command(recording, "--output", tmp_path), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".dualface/*/segments")):
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.02)
    for _ in range(2):
        running.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, output = running.communicate(timeout=PATIENCE_S)
    if running.returncode != 1:
        pytest.skip("it was done before the second signal")
    assert "Traceback" not in output
    assert [path.name for path in tmp_path.iterdir()] == [".dualface"]
    assert process(recording, "--output", tmp_path).returncode == 0
    assert (tmp_path / "an interview.dual.mp4").exists()
    assert not (tmp_path / ".dualface").exists()


def test_a_sidecar_swaps_and_its_errors_name_the_line(recording, tmp_path):
    copy = tmp_path / "talk.mp4"
    copy.write_bytes(recording.read_bytes())
    sidecar = tmp_path / "talk.dualface.yaml"
    sidecar.write_text("swap: true\n")
    out = tmp_path / "out"
    assert process(copy, "--output", out).returncode == 0
    row = tracks(out / "talk.dual.tracks.jsonl.gz")[60]
    assert (row["left"]["person"], row["right"]["person"]) == (2, 1)
    sidecar.write_text("swap: true\nswop_spans: []\n")
    assert process(copy, "--output", out).returncode == 1
    error = json.loads((out / "talk.report.json").read_bytes())["error"]
    assert error["code"] == "SIDECAR_INVALID"
    assert "line 2" in error["message"]


def test_wrong_usage_is_explained_in_a_sentence(recording, tmp_path):
    done = process(recording, "--output", tmp_path, "--profile", "nobody")
    assert done.returncode == 2
    assert "nobody" in done.stderr and "default" in done.stderr
    done = process(recording, "--output", tmp_path, "--set", "crf=99")
    assert done.returncode == 2
    assert "crf" in done.stderr


@pytest.mark.parametrize("small_disk", ["4m"], indirect=True)
def test_a_limit_that_the_disk_can_never_meet_ends_the_command_at_once(recording, small_disk):
    done = process(recording, "--output", small_disk)
    assert done.returncode == 1
    output = " ".join(done.stderr.split())
    assert "the whole disk has 4 MiB, 256 MiB needed: degradation.disk_low_bytes" in output
    assert "Set what is needed to less" in output


@pytest.mark.parametrize("small_disk", ["4m"], indirect=True)
def test_a_disk_that_was_full_costs_no_work(recording, tmp_path, small_disk):
    """Not even the report of a failure fits; the next file gets its turn, and the same command goes on afterwards."""
    whole, ballast = tmp_path / "whole", small_disk / "ballast"
    wrong = tmp_path / "letter.mp4"
    wrong.write_text("Dear Sir or Madam")
    assert process(recording, "--output", whole).returncode == 0
    settings = ("workers.concurrent_jobs=1", "degradation.disk_low_bytes=0", "degradation.disk_wait_s=2")
    both = command(recording, wrong, "--output", small_disk, *(word for each in settings for word in ("--set", each)))
    running = subprocess.Popen(both, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(small_disk.glob(".dualface/*/checkpoint.json")):
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.005)
    fill(ballast)
    _, output = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 1
    assert "Traceback" not in output
    output = " ".join(output.split())
    assert "waits for space where the results go, at most 2 s (degradation.disk_wait_s)" in output
    assert "(0 MiB free); waited 2 s (degradation.disk_wait_s)" in output
    assert "Free space where the results go. Give the same command again" in output
    assert "not a video file" in output
    assert "no report of the failure" in output
    assert not [path.name for path in small_disk.iterdir() if path.name not in (".dualface", "ballast")]
    ballast.unlink()
    assert subprocess.run(both, timeout=PATIENCE_S, check=False).returncode == 1
    name = "an interview.dual.mp4"
    assert packets(small_disk / name) == packets(whole / name)
    assert json.loads((small_disk / "an interview.dual.report.json").read_bytes())["resilience"]["resumed_at_s"]
    assert (small_disk / "letter.report.json").exists()
    assert not (small_disk / ".dualface").exists()


def test_several_workers_share_one_file(recording, tmp_path):
    assert process(recording, "--output", tmp_path / "whole").returncode == 0
    options = ("--set", "cluster.split=always", "--set", "workers.concurrent_jobs=2")
    done = process(recording, "--output", tmp_path / "split", *options)
    assert done.returncode == 0, done.stderr
    name = "an interview.dual"
    assert packets(tmp_path / "split" / f"{name}.mp4") == packets(tmp_path / "whole" / f"{name}.mp4")
    assert json.loads((tmp_path / "split" / f"{name}.report.json").read_bytes())["timing"]["workers"] == 2
    assert [path.name for path in (tmp_path / "split").iterdir() if path.is_dir()] == []
