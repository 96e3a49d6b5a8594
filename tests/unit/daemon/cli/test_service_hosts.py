"""Services of a share from a command's side."""

from __future__ import annotations

import pytest

from daemon.cli.service_hosts import with_unit_status
from daemon.diagnostics.checks.unit import Unit
from daemon.share.reach import NoShareError


def test_a_missing_share_is_explained_by_the_status_line_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    error = NoShareError("It is not mounted.")
    monkeypatch.setattr(Unit, "look_up", Unit)
    assert with_unit_status(error).message == "It is not mounted."
    monkeypatch.setattr(Unit, "look_up", lambda: Unit(status="share away since 2026-11-30 10:02 (gone)"))
    assert with_unit_status(error).message.endswith("Status of the service: share away since 2026-11-30 10:02 (gone).")
