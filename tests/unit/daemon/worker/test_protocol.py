"""Messages of a worker: no content can end the service."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from daemon import logs
from daemon.config.settings import LogSettings
from daemon.worker.protocol import BackendReady, Failed, Finished, Message, Stopped, decode, encode
from pipeline.job import Progress

MESSAGES: list[Message] = [
    Progress("render", 5, 0.5, 10.0, 24.0),
    Finished("succeeded", "fine", {"video": "output.mp4"}, 5, 0.5, 1.0),
    Failed("NOT_MEDIA", "no", "do", retryable=False),
    Stopped(),
    BackendReady("cpu", ("because",)),
]
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
names = st.sampled_from(["stage", "frames_done", "code", "message", "remedy", "files", "verdict", "counts", "device"])
kinds = st.sampled_from(["Progress", "StatsDelta", "Finished", "Failed", "Stopped", "BackendReady", "Nothing"])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_arrive_as_they_were_sent(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_a_malformed_line_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


@given(kinds, st.dictionaries(names, values))
def test_a_message_has_fields_of_the_right_types(kind: str, body: dict[str, object]) -> None:
    try:
        message = decode(json.dumps({"kind": kind, **body}).encode())
    except ValueError:
        return
    assert decode(encode(message)) == message
    if isinstance(message, Failed):
        assert all(isinstance(text, str) for text in (message.code, message.message, message.remedy))


def test_deep_nesting_is_no_message() -> None:
    with pytest.raises(ValueError):
        decode(b"[" * 100_000)


@pytest.mark.parametrize("name", ["../source", "/etc/passwd", "a/b", "", ".."])
def test_files_outside_of_the_job_are_no_result(name: str) -> None:
    with pytest.raises(ValueError, match="outside"):
        decode(encode(Finished("succeeded", "", {"video": name}, 1, 1.0, 1.0)))


@pytest.fixture
def configured() -> Iterator[structlog.stdlib.BoundLogger]:
    logs.configure(LogSettings())
    yield structlog.get_logger()
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "key", ["self", "exc_info", "stack_info", "level", "event", "timestamp", "msg", "args", "log_level"]
)
@pytest.mark.parametrize("value", [True, "x", 5, ["y"], None])
def test_any_log_line_can_be_passed_on(configured: structlog.stdlib.BoundLogger, key: str, value: object) -> None:
    logs.relay(configured.bind(job="j"), json.dumps({"event": "e", key: value}))


def test_a_log_line_nested_without_end(configured: structlog.stdlib.BoundLogger) -> None:
    assert not logs.relay(configured, "[" * 100_000)
