"""What checks look at: the configuration, and answers of other programs, each asked for once."""

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
from daemon.diagnostics.measurements.main import site_as_text
from daemon.diagnostics.measurements.target import Measurement, Site
from daemon.share.share import Share
from daemon.worker.subprocess_call import Account, ask

_SHARE_TIMEOUT_S = 90.0  # the longest measurement, of lag, waits for three times 20 s
_PROGRAM_TIMEOUT_S = 180.0

Facts = TypeVar("Facts", bound=Measurement)


class Context:
    """One examination.

    Args:
        config: the configuration's file, for messages; None where there is none.
        through: another way to the share, see ``measurements.target.Site``.
        directly: measure the share in this process; for the service, which is the service's user and looks at cheap
            things only.
    """

    def __init__(
        self, settings: Settings, config: Path | None = None, through: Path | None = None, *, directly: bool = False
    ) -> None:
        self.settings = settings
        self.config = config
        self.share = Share(settings)
        self.site = Site(self.share.root, self.share.folders, through)
        self.host = socket.gethostname()
        self._directly = directly
        self._facts: dict[type[Measurement], Measurement] = {}
        self._answers: dict[tuple[str, ...], Any] = {}

    @cached_property
    def unit(self) -> Unit:
        """The service's unit, as systemd knows it."""
        return Unit.look_up()

    @cached_property
    def account(self) -> Account | None:
        """The service's user, where we may become that; None: we look with our own eyes."""
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
        """Whose rights are looked at."""
        uid = self.account.uid if self.account else os.geteuid()
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def measure(self, kind: type[Facts]) -> Facts:
        """Facts about the share.

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
            return kind.measured(self.site)
        arguments = [kind.__name__, site_as_text(self.site)]
        told = ask("daemon.diagnostics.measurements.main", arguments, timeout_s=_SHARE_TIMEOUT_S, account=self.account)
        return TypeAdapter(kind).validate_python(told)

    def ask_program(self, module: str, *arguments: str) -> Any:
        """What a program that may load codecs and drivers says.

        Raises:
            DaemonError: it cannot, or died.
        """
        key = (module, *arguments)
        if key not in self._answers:
            self._answers[key] = ask(module, arguments, timeout_s=_PROGRAM_TIMEOUT_S, account=self.account)
        return self._answers[key]
