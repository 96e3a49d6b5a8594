"""Log lines: JSON away from a terminal; lines of workers keep their level."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from daemon import logs
from daemon.config.settings import LogSettings


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_with_job_file_and_stage(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    structlog.get_logger().bind(job="j", file="x.mp4").info("job started", stage="working")
    (line,) = lines(capsys)
    fields = {"job": "j", "file": "x.mp4", "stage": "working", "event": "job started", "level": "info"}
    assert fields.items() <= line.items()
    assert line["timestamp"].endswith("Z")


def test_what_libraries_log_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(level="debug"))
    logs.configure(LogSettings(level="debug"))
    logging.getLogger("watchdog.observers").error("called when the thread is %s", "inactive")
    (line,) = lines(capsys)
    expected = {"library": "watchdog.observers", "text": "called when the thread is inactive", "level": "debug"}
    assert expected.items() <= line.items()


def test_libraries_log_at_debug_level_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    logging.getLogger("watchdog.observers").error("called when the thread is inactive")
    assert lines(capsys) == []


def test_console_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="console"))
    structlog.get_logger().info("job started")
    assert "job started" in capsys.readouterr().err


def test_lines_of_workers_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    log = structlog.get_logger().bind(job="j")
    logs.relay(log, '{"event": "job resumes", "level": "warning", "timestamp": "then", "at_s": 2}')
    logs.relay(log, "[libx264 @ 0x55] printed by a library")
    logs.relay(log, '"a string"')
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["job"], line["at_s"]) == ("job resumes", "warning", "j", 2)
    assert line["timestamp"] != "then"


def test_output_of_libraries_appears_at_debug_level(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(level="debug"))
    logs.relay(structlog.get_logger(), "[libx264 @ 0x55] printed by a library")
    assert lines(capsys)[0]["text"] == "[libx264 @ 0x55] printed by a library"
