"""The faults: what can be done to a service at a step of a file's life."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psutil

from tests.faults.preload import Call, Rule
from tests.faults.setting import Setting, suspend
from tests.faults.steps import Step

_DAY_S = 86400
_LOST_S = 1.5  # how long a disk stays full or a share away

Strike: TypeAlias = Callable[[Setting, int], None]  # gets the process that waits at the meeting


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a fault meets a step. ``strike`` does what the rule alone cannot do."""

    name: str
    rule: Rule
    strike: Strike | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Attributes:
        variants: its ways at a step; none where it makes no sense.
        senseless: why it makes no sense at the other steps.
        sections: configuration that it needs.
        may_degrade: whether the work may be cut down because of it.
    """

    name: str
    variants: Callable[[Step], Iterator[Variant]]
    senseless: Callable[[Step], str]
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    may_degrade: bool = False


# -- strikes at a meeting


def kill_it(number: signal.Signals) -> Strike:
    """A signal for the process that takes the step."""
    return lambda setting, pid: os.kill(pid, number)


def signal_service(number: signal.Signals) -> Strike:
    """A signal for the service, whoever takes the step; systemd starts it again."""

    def strike(setting: Setting, pid: int) -> None:
        os.kill(setting.pid(), number)

    return strike


def fill_the_disk(setting: Setting, pid: int) -> None:
    setting.fill()
    setting.control.go()
    time.sleep(_LOST_S)
    setting.make_room()


def unmount(setting: Setting, pid: int) -> None:
    setting.take_away()
    setting.control.go()
    deadline = time.monotonic() + _LOST_S
    setting.wait_for(lambda: time.monotonic() > deadline, "the end of the absence")
    setting.bring_back()


def jump(seconds: int) -> Strike:
    return lambda setting, pid: setting.control.jump(seconds)


def run_out_of_memory(setting: Setting, pid: int) -> None:
    """The process gets no more memory: a worker for as long as it lives, the service for a while."""
    process = psutil.Process(pid)
    before = process.rlimit(psutil.RLIMIT_AS)
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms, before[1]))
    setting.control.go()
    if pid == setting.pid():
        time.sleep(_LOST_S)
        with suppress(psutil.NoSuchProcess):
            process.rlimit(psutil.RLIMIT_AS, before)


def race(setting: Setting, pid: int) -> None:
    """A second host comes to the same step while the first takes it."""
    setting.start("beta", ruled=False).wait_for(lambda: setting.events("service started")[1:], "the second host")


def sleep_until(moment: Callable[[Setting], object]) -> Strike:
    """The host stands still, in the middle of the step, until another has got so far; then it wakes up."""

    def strike(setting: Setting, pid: int) -> None:
        asleep = suspend(setting.pid())
        setting.start("beta", ruled=False)
        setting.wait_for(lambda: moment(setting), "the second host")
        setting.control.go()
        for process in asleep:
            process.resume()
        if setting.service().events("job claimed"):
            lost = "job lost to another host"
            setting.wait_for(lambda: setting.service().events(lost), "the former owner to notice")

    return strike


def _taken_over(setting: Setting) -> object:
    second = setting.service("beta")
    return second.events("job taken over from another host") or second.events("job claimed")


# -- which variants there are


def _at(strike: Strike, role: str = "any") -> Callable[[Step], Iterator[Variant]]:
    """At the call of the step and, where that changes something, also right after it."""

    def variants(step: Step) -> Iterator[Variant]:
        if role in ("any", step.role):
            yield Variant("before", Rule(step.call), strike)
            if step.call.operations in ("rename", "write"):
                yield Variant("after", Rule(step.call, after=True), strike)

    return variants


def _both(**strikes: Strike) -> Callable[[Step], Iterator[Variant]]:
    def variants(step: Step) -> Iterator[Variant]:
        for name, strike in strikes.items():
            for variant in _at(strike)(step):
                yield Variant(f"{variant.name}, {name}", variant.rule, variant.strike)

    return variants


def _failing(kind: str, *numbers: int, after: bool = False, times: int = 1) -> Callable[[Step], Iterator[Variant]]:
    def variants(step: Step) -> Iterator[Variant]:
        call: Call | None = getattr(step, kind)
        if call is not None:
            for number in numbers:
                rule = Rule(call, "fail", after=after, number=number, times=times)
                yield Variant(errno.errorcode[number], rule)

    return variants


def _exiting(step: Step) -> Iterator[Variant]:
    if step.role == "worker":
        yield Variant("abort", Rule(step.call), kill_it(signal.SIGABRT))
        yield Variant("exit status 1", Rule(step.call, "exit", number=1))


def _second_host(step: Step) -> Iterator[Variant]:
    if step.name == "settling":
        yield Variant("race", Rule(step.call), race)
        return
    woken = {
        "woken at takeover": sleep_until(_taken_over),
        "woken after delivery": sleep_until(Setting.has_ended),
    }
    yield from _both(**woken)(step)


def _no_worker(step: Step) -> str:
    return "no worker runs at this step"


def _no_media(step: Step) -> str:
    return "the service itself parses no media"


def _nothing(what: str) -> Callable[[Step], str]:
    return lambda step: f"nothing is {what} at this step"


FAULTS = (
    Fault("SIGKILL of worker", _at(kill_it(signal.SIGKILL), "worker"), _no_worker),
    Fault("SIGKILL of daemon", _at(signal_service(signal.SIGKILL)), _nothing("killed")),
    Fault("SIGTERM", _at(signal_service(signal.SIGTERM)), _nothing("stopped")),
    Fault("hang of worker", _at(kill_it(signal.SIGSTOP), "worker"), _no_worker, {"workers": {"stall_timeout_s": 4}}),
    Fault("disk full (real)", _at(fill_the_disk), _nothing("written")),
    Fault("ENOSPC or EDQUOT on write", _failing("writes", errno.ENOSPC, errno.EDQUOT, times=3), _nothing("written")),
    Fault("EIO on write", _failing("writes", errno.EIO), _nothing("written")),
    Fault("EIO or EDQUOT on fsync", _failing("fsyncs", errno.EIO, errno.EDQUOT), _nothing("synced")),
    Fault("EIO on read", _failing("reads", errno.EIO), _nothing("read")),
    Fault("share unmounted and back", _at(unmount), _nothing("on the share")),
    Fault("lost rename reply", _failing("renames", errno.ENOENT, errno.EIO, after=True), _nothing("renamed")),
    Fault("second host", _second_host, _nothing("shared")),
    Fault("clock jump", _both(forwards=jump(400 * _DAY_S), backwards=jump(-400 * _DAY_S)), _nothing("timed")),
    Fault("out of memory", _at(run_out_of_memory), _nothing("allocated"), may_degrade=True),
    Fault("poisoned device context", _exiting, _no_worker),
    Fault("segfault while parsing", _at(kill_it(signal.SIGSEGV), "worker"), _no_media),
)
