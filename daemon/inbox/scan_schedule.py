"""How often an inbox is scanned."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.config.settings import ScanSettings

_SCAN_SHARE = 0.2  # the greatest share of time for scans of a large or slow inbox
_BUSY_SHARE = 0.5  # the same while files settle there


@dataclass(frozen=True, slots=True)
class ScanSchedule:
    """The time between two scans: short while files settle, longer and longer while nothing happens.

    Attributes:
        quiet_s: how long a file must not change.
        polls: how often it must be seen unchanged.
    """

    scan: ScanSettings
    quiet_s: float
    polls: int

    def busy_s(self) -> float:
        """Return the interval while files settle: it gives enough polls in the quiet time."""
        return min(max(self.quiet_s / (self.polls + 1), self.scan.min_interval_s), self.scan.max_interval_s)

    def next_s(self, last_s: float, *, settling: bool, changed: bool, took_s: float) -> float:
        """Return the seconds until the next scan.

        Args:
            last_s: the last interval.
            settling: some files still change.
            changed: the number of files has changed.
            took_s: the duration of the last scan.
        """
        if settling or changed:
            return max(self.busy_s(), took_s / _BUSY_SHARE)
        return max(min(last_s * 2, self.scan.max_interval_s), took_s / _SCAN_SHARE)
