"""The time between scans."""

from __future__ import annotations

from daemon.config.settings import ScanSettings
from daemon.inbox.scan_schedule import ScanSchedule


def test_scans_become_rare_while_nothing_happens_and_take_a_limited_share_of_time() -> None:
    schedule = ScanSchedule(ScanSettings(min_interval_s=1, max_interval_s=15), quiet_s=5, polls=3)
    interval_s = 1.0
    seen = []
    for _ in range(6):
        interval_s = schedule.next_s(interval_s, settling=False, changed=False, took_s=0.01)
        seen.append(interval_s)
    assert seen == [2, 4, 8, 15, 15, 15]
    assert schedule.next_s(15, settling=True, changed=False, took_s=0.01) == 1.25
    assert schedule.next_s(15, settling=True, changed=False, took_s=20) == 40
    assert schedule.next_s(15, settling=False, changed=False, took_s=20) == 100
