"""NVENC sessions and the encoder over them, on a fake of the vendor's library that encodes with x264."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from engines.cuda.encoding.device_encoders import DeviceEncoders
from engines.cuda.encoding.h264_headers import without_sequence_headers
from engines.cuda.encoding.nvenc import NvencEncoder, encoder_options
from engines.cuda.encoding.sessions import EncoderSessions, choose_encoder, probe_sessions
from engines.errors import DeviceUnavailableError, EncodeFailedError, EncoderBusyError, EncoderMissingError
from engines.frames import ColorTags, Frame
from engines.nvenc_sessions import SessionProbe
from engines.settings import DeviceSettings, EncoderSettings
from tests.fakes.pynvvideocodec import PyNvVCException, device_empty, on_device

NO_NVENC = "NVENC returned error 2"  # the answer of an H200


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    fake = importlib.reload(importlib.import_module("tests.fakes.pynvvideocodec"))
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", fake)
    return fake


def frame(pts: int, width: int = 320, height: int = 180) -> Frame:
    memory = on_device(np.full((height * 3 // 2, width), 100 + pts % 50, np.uint8))
    return Frame(memory[:height], memory[height:].reshape(height // 2, width // 2, 2), pts, 1)


def encoder(sessions: EncoderSessions) -> NvencEncoder:
    return NvencEncoder(
        320, 180, fps=Fraction(30), color=ColorTags(1, 1, 1), settings=EncoderSettings(), sessions=sessions,
        empty=device_empty,
    )  # fmt: skip


def test_a_session_is_taken_and_given_back(library: ModuleType) -> None:
    sessions = EncoderSessions(2)
    one = encoder(sessions)
    assert (sessions.open_sessions, library.driver.open_sessions) == (1, 1)
    one.encode(frame(0))
    assert len(one.flush()) == 1
    assert (sessions.open_sessions, library.driver.open_sessions) == (0, 0)


def test_a_job_that_dies_gives_its_session_back(library: ModuleType) -> None:
    sessions = EncoderSessions(1, wait_s=0)
    dying = encoder(sessions)
    dying.encode(frame(0))
    del dying
    gc.collect()
    assert (sessions.open_sessions, library.driver.open_sessions) == (0, 0)
    assert encoder(sessions).flush() == []


def test_at_most_the_limit_is_open_and_waiters_are_served_in_turn(library: ModuleType) -> None:
    library.driver.limit = 3
    sessions = EncoderSessions(2, wait_s=30)
    held = [encoder(sessions), encoder(sessions)]
    order: list[int] = []

    def job(number: int) -> None:
        mine = encoder(sessions)
        order.append(number)
        mine.encode(frame(0))
        mine.flush()

    threads = [threading.Thread(target=job, args=(number,)) for number in range(5)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(sessions._queue) <= number:  # each joins the queue before the next
            time.sleep(0.001)
    held[0].flush()
    while not order:
        time.sleep(0.001)
    assert order[0] == 0
    held[1].flush()
    for thread in threads:
        thread.join(20)
    assert sorted(order) == list(range(5))
    assert library.driver.most_open <= 3
    assert sessions.open_sessions == 0


def test_who_waits_too_long_is_told_that_encoders_are_busy(library: ModuleType) -> None:
    sessions = EncoderSessions(1, wait_s=0.1)
    held = encoder(sessions)
    with pytest.raises(EncoderBusyError, match="1 of 1 by this process") as caught:
        encoder(sessions)
    assert (caught.value.retryable, caught.value.environmental) == (True, True)
    held.flush()
    encoder(sessions).flush()


@pytest.mark.parametrize("status", [10, 21])
def test_errors_10_and_21_mean_busy_and_are_tried_again(library: ModuleType, status: int) -> None:
    """Another program holds the GPU's sessions, then ends."""
    library.driver.limit, library.driver.status = 0, status
    sessions = EncoderSessions(4, wait_s=20)
    threading.Timer(0.2, lambda: setattr(library.driver, "limit", 8)).start()
    encoder(sessions).flush()
    library.driver.limit = 0
    with pytest.raises(EncoderBusyError):
        encoder(EncoderSessions(4, wait_s=0))
    assert sessions.open_sessions == 0


def test_error_2_means_that_there_is_no_encoder_and_nobody_waits(library: ModuleType) -> None:
    library.driver.limit, library.driver.status = 0, 2
    sessions = EncoderSessions(4, wait_s=30)
    begin = time.monotonic()
    with pytest.raises(EncoderMissingError, match="error 2"):
        encoder(sessions)
    assert time.monotonic() - begin < 5
    assert sessions.open_sessions == 0


def test_other_errors_are_encoding_errors_with_the_librarys_words(library: ModuleType) -> None:
    library.driver.limit, library.driver.status = 0, 8
    with pytest.raises(EncodeFailedError, match="returned error 8"):
        encoder(EncoderSessions(4, wait_s=30))


def test_a_frame_that_the_encoder_refuses_is_an_encoding_error(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PyNvVCException("m_nvenc.nvEncEncodePicture(m_hEncoder, &picParams) returned error 20")

    one = encoder(EncoderSessions(1))
    monkeypatch.setattr(library.PyNvEncoder, "Encode", refuse)
    with pytest.raises(EncodeFailedError, match="error 20"):
        one.encode(frame(0))


def child_with_fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int, status: int) -> SessionProbe:
    (tmp_path / "PyNvVideoCodec.py").write_text("from tests.fakes.pynvvideocodec import *\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FAKE_NVENC_LIMIT", str(limit))
    monkeypatch.setenv("FAKE_NVENC_STATUS", str(status))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4]))
    return probe_sessions(0, most=6)


@pytest.mark.parametrize(
    ("limit", "status", "expected"),
    [
        (3, 10, SessionProbe(3, "NVENC returned error 10", 10)),
        (5, 21, SessionProbe(5, "NVENC returned error 21", 21)),
        (0, 2, SessionProbe(0, NO_NVENC, 2)),
        (99, 10, SessionProbe(6)),
    ],
)
def test_a_child_process_counts_the_sessions_that_really_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int, status: int, expected: SessionProbe
) -> None:
    assert child_with_fake(monkeypatch, tmp_path, limit, status) == expected


def test_a_probe_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "PyNvVideoCodec.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = probe_sessions(0)
    assert (found.opened, found.has_encoder) == (0, False)
    assert "libcuda.so.1" in found.error


def test_a_probe_that_crashes_takes_nobody_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "PyNvVideoCodec.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = probe_sessions(0)
    assert (found.opened, found.has_encoder) == (0, False)
    assert "status -6" in found.error


def test_the_policy_names_the_encoder_and_why() -> None:
    works, missing, taken = (
        SessionProbe(8),
        SessionProbe(0, NO_NVENC, 2),
        SessionProbe(0, "NVENC returned error 10", 10),
    )
    assert choose_encoder("auto", lambda: works) == ("nvenc", None)
    assert choose_encoder("nvenc", lambda: taken) == ("nvenc", None)
    assert choose_encoder("auto", lambda: missing) == ("x264", f"NVENC is not used: {NO_NVENC}")
    assert choose_encoder("x264", lambda: pytest.fail("nobody asked")) == ("x264", None)
    with pytest.raises(EncoderMissingError, match="nvenc is set") as caught:
        choose_encoder("nvenc", lambda: missing)
    assert isinstance(caught.value, DeviceUnavailableError)


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots that no other process of this machine uses."""
    monkeypatch.setattr("engines.cuda.encoding.device_encoders.shared_directory", lambda: tmp_path)


COUNTED = SessionProbe(2, "NVENC returned error 10", 10)
NOBODY_WAITS = DeviceSettings(index=1, nvenc_wait_s=0)


@pytest.mark.usefixtures("slots")
def test_a_gpu_hands_out_as_many_encoders_as_were_counted_and_nobody_counts_again(library: ModuleType) -> None:
    gpu = DeviceEncoders(NOBODY_WAITS, COUNTED, lambda *_: pytest.fail("asked"))
    made = [_create(gpu) for _ in range(2)]
    assert [one.name for one in made] == ["h264_nvenc"] * 2
    with pytest.raises(EncoderBusyError, match="2 of 2"):
        _create(gpu)
    assert library.driver.options[0]["gpu_id"] == 1
    assert gpu.notes == ()


@pytest.mark.usefixtures("slots")
@pytest.mark.parametrize(
    ("settings", "counted"), [(DeviceSettings(nvenc_max_sessions=1, nvenc_wait_s=0), COUNTED),
                              (DeviceSettings(nvenc_wait_s=0), SessionProbe(1, "NVENC returned error 21", 21))],
)  # fmt: skip
def test_jobs_of_a_machine_share_the_sessions_and_a_job_keeps_its_own_between_segments(
    library: ModuleType, settings: DeviceSettings, counted: SessionProbe
) -> None:
    one, two = (DeviceEncoders(settings, counted) for _ in range(2))
    _create(one).flush()
    with pytest.raises(EncoderBusyError):
        _create(two)
    _create(one).flush()
    one.free_spare_slots()
    _create(two).flush()


def test_where_nobody_has_counted_one_session_is_asked_for_and_the_driver_sets_the_limit(library: ModuleType) -> None:
    asked: list[tuple[int, int]] = []

    def probe(index: int, most: int) -> SessionProbe:
        asked.append((index, most))
        return SessionProbe(most)

    library.driver.limit = 2
    gpu = DeviceEncoders(NOBODY_WAITS, probe=probe)
    made = [_create(gpu) for _ in range(2)]
    with pytest.raises(EncoderBusyError, match=r"\(2 by this process"):
        _create(gpu)
    assert (asked, len(made)) == ([(1, 1)], 2)


def test_no_session_at_all_means_x264(library: ModuleType) -> None:
    gpu = DeviceEncoders(DeviceSettings(nvenc_max_sessions=0), COUNTED)
    assert choose_encoder("auto", gpu._probed) == ("x264", "NVENC is not used: nvenc_max_sessions is 0")


def _create(gpu: DeviceEncoders) -> NvencEncoder:
    made = gpu.create(
        320, 180, time_base=Fraction(1, 30), fps=Fraction(30), color=ColorTags(), settings=EncoderSettings(), stream=77
    )
    assert isinstance(made, NvencEncoder)
    return made


def test_settings_become_the_librarys_options(library: ModuleType) -> None:
    options = encoder_options(Fraction(30000, 1001), EncoderSettings(preset="slow", crf=27))
    assert (options["preset"], options["cq"], options["gop"], options["bf"]) == ("P6", 27, 240, 0)
    assert encoder_options(Fraction(25), EncoderSettings(crf=0))["cq"] == 1
    speeds = [encoder_options(Fraction(25), EncoderSettings(preset=p))["preset"] for p in ("ultrafast", "veryslow")]
    assert speeds == ["P1", "P7"]


def test_only_sequence_headers_are_taken_out() -> None:
    sps, pps, sei, idr = b"\x67\x64\x00\x28", b"\x68\xee", b"\x06\x05\x01\x80", b"\x65\x88\x00\x00\x03\x01\x80"
    data = b"".join(b"\0\0\0\1" + unit for unit in (sps, pps, sei)) + b"\0\0\1" + idr
    assert without_sequence_headers(data) == b"\0\0\0\1" + sei + b"\0\0\0\1" + idr
