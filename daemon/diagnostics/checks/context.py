"""The input of checks: the configuration, and the answers of other programs, which are cached."""

from __future__ import annotations

import os
import pwd
import socket
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from daemon.config.settings import Settings
from daemon.diagnostics.checks.unit import Unit
from daemon.diagnostics.measurements.main import target_as_text
from daemon.diagnostics.measurements.target import Measurement, Target
from daemon.share.share import Share
from daemon.worker.subprocess_call import Account, ask

_SHARE_TIMEOUT_S = 90.0  # the longest measurement, of lag, waits for three times 20 s
_PROGRAM_TIMEOUT_S = 180.0

Facts = TypeVar("Facts", bound=Measurement)


class Context:
    """The context of one run of checks.

    Args:
        config: the configuration file, for messages; None if there is none.
        through: a second path to the share, see ``measurements.target.Target``.
        directly: measure the share in this process. The service does so: it is the right user, and runs only fast
            checks.
    """

    def __init__(
        self, settings: Settings, config: Path | None = None, through: Path | None = None, *, directly: bool = False
    ) -> None:
        self.settings = settings
        self.config = config
        self.share = Share(settings)
        self.target = Target(self.share.root, self.share.folders, through)
        self.host = socket.gethostname()
        self._directly = directly
        self._facts: dict[type[Measurement], Measurement] = {}
        self._answers: dict[tuple[str, ...], Any] = {}

    @cached_property
    def unit(self) -> Unit:
        """The service's unit, as systemd reports it."""
        return Unit.look_up()

    @cached_property
    def account(self) -> Account | None:
        """The account of the service's user, if we may switch to it; None to check as the present user."""
        if self._directly or os.geteuid() != 0 or not self.unit.user:
            return None
        try:
            user = pwd.getpwnam(self.unit.user)
        except KeyError:
            return None
        groups = tuple(os.getgrouplist(user.pw_name, user.pw_gid))
        environment = {"HOME": user.pw_dir, "CACHE_DIRECTORY": self.unit.cache}
        return Account(user.pw_uid, user.pw_gid, groups, self.unit.umask, environment)

    @property
    def user(self) -> str:
        """The name of the user as whom the checks run."""
        uid = self.account.uid if self.account else os.geteuid()
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def measure(self, kind: type[Facts]) -> Facts:
        """Return facts about the share, measured once.

        Raises:
            DaemonError: the share cannot be measured, or does not answer.
        """
        if kind not in self._facts:
            self._facts[kind] = self._measured(kind)
        facts = self._facts[kind]
        assert isinstance(facts, kind)
        return facts

    def _measured(self, kind: type[Facts]) -> Facts:
        if self._directly:
            return kind.measured(self.target)
        arguments = [kind.__name__, target_as_text(self.target)]
        answer = ask(
            "daemon.diagnostics.measurements.main", arguments, timeout_s=_SHARE_TIMEOUT_S, account=self.account
        )
        return TypeAdapter(kind).validate_python(answer)

    def ask_program(self, module: str, *arguments: str) -> Any:
        """Return the answer of a program, run once, that may load codecs and drivers.

        Raises:
            DaemonError: the program failed or died.
        """
        key = (module, *arguments)
        if key not in self._answers:
            self._answers[key] = ask(module, arguments, timeout_s=_PROGRAM_TIMEOUT_S, account=self.account)
        return self._answers[key]
