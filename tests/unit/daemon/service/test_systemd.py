"""Messages to systemd on a real notification socket; no pings from a stuck loop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.service import systemd as systemd_module
from daemon.service.systemd import Systemd, WatchdogThread, watchdog_interval_s


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def test_messages_arrive(systemd: socket.socket) -> None:
    client = Systemd()
    client.ready()
    client.status("idle; queue 0")
    client.status("idle; queue 0")
    client.stopping()
    assert [systemd.recv(1000) for _ in range(3)] == [b"READY=1", b"STATUS=idle; queue 0", b"STOPPING=1"]


def test_a_file_name_cannot_smuggle_in_a_message(systemd: socket.socket) -> None:
    Systemd().status("working; inbox/x\nSTOPPING=1\n.mp4")
    assert systemd.recv(1000) == b"STATUS=working; inbox/x\\nSTOPPING=1\\n.mp4"


def test_watchdog_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_interval_s() == 10
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_interval_s() is None


def test_a_turning_loop_is_alive_and_pings(systemd: socket.socket) -> None:
    with WatchdogThread(Systemd(), 0.05).running() as watchdog:
        watchdog.beat()
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_a_busy_loop_is_not_alive_but_a_wait_for_the_share_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd_module, "_ALIVE_S", 0.0)
    watchdog = WatchdogThread(Systemd(), 0.01)
    watchdog.beat()
    answers: dict[str, bool] = {}

    main, deadline = threading.get_native_id(), time.monotonic() + 60

    def ask(name: str, *, blocks: bool) -> None:
        time.sleep(0.1)
        while blocks and not systemd_module._sleeps_in_kernel(main) and time.monotonic() < deadline:
            time.sleep(0.01)
        answers[name] = watchdog.is_alive()

    for name, marked, blocks in (
        ("blocked on the share", True, True),
        ("blocked elsewhere", False, True),
        ("busy on the share", True, False),
    ):
        asking = threading.Thread(target=ask, args=(name,), kwargs={"blocks": blocks})
        asking.start()
        if marked:
            with watchdog.share_io():
                _spend(asking, blocks=blocks)
        else:
            _spend(asking, blocks=blocks)
    assert answers == {"blocked on the share": True, "blocked elsewhere": False, "busy on the share": False}


def _spend(asking: threading.Thread, *, blocks: bool) -> None:
    if blocks:
        asking.join()
    while asking.is_alive():
        sum(range(1000))
