"""Which part of a changed configuration a running service takes over."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.config import catalog, live_keys
from daemon.config.settings import Settings
from daemon.errors import ConfigError


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_nothing_changed() -> None:
    plan = live_keys.plan(settings(), settings())
    assert (plan.settings, plan.taken, plan.later) == (settings(), (), ())


def test_live_keys_change_and_the_others_wait() -> None:
    running = settings(profiles={"mine": {"crf": 20}})
    wanted = settings(
        share={"root": "/elsewhere", "low_bytes": 5},
        profiles={"mine": {"crf": 18}, "new": {}},
        device={"index": 1},
        scan={"events": "off", "max_interval_s": 20},
        inboxes=[{"path": "in"}],
    )
    plan = live_keys.plan(running, wanted)
    assert set(plan.later) == {"share.root", "device.index", "scan.events", "inboxes"}
    assert set(plan.taken) >= {"share.low_bytes", "profiles.mine.crf", "scan.max_interval_s"}
    s = plan.settings
    assert (s.share.root, s.device, s.scan.events, s.inboxes) == (
        running.share.root, running.device, running.scan.events, running.inboxes,
    )  # fmt: skip
    assert (s.share.low_bytes, s.profiles["mine"].crf, s.scan.max_interval_s) == (5, 18, 20)
    assert "new" in s.profiles


def test_a_part_that_does_not_fit_is_refused() -> None:
    running = settings(profiles={"mine": {}}, inboxes=[{"profile": "mine"}])
    with pytest.raises(ConfigError, match="no profile 'mine'"):
        live_keys.plan(running, settings(inboxes=[{"profile": "default"}]))


def test_new_sections_wait_for_a_restart_by_default() -> None:
    assert live_keys.needs_restart(("something", "new"))
    live = [entry.path for entry in catalog.entries() if entry.path and not live_keys.needs_restart(entry.path)]
    assert ("log", "level") in live
    assert ("leases", "host") not in live
