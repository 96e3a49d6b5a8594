"""What keeps the service from starting jobs: share away or split, pause, drain, or little disk space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import structlog

from daemon.backoff import SOON_S, Backoff
from daemon.clock import Clock, Every, utc_now
from daemon.config.settings import Settings, ShareSettings
from daemon.errors import ShareAwayError, ShareReplacedError
from daemon.jobs.segment_cache import SegmentCache
from daemon.share import mounts
from daemon.share.leases import host_name
from daemon.share.share import Share, ShareIdentity
from pipeline.degradation.space import FreeSpace, lacking

_CHECK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


class BlockReason(StrEnum):
    """Why no job starts; with DRAINING, claimed jobs still start."""

    NONE = "none"
    SHARE_AWAY = "share_away"
    PAUSED = "paused"
    DRAINING = "draining"
    LOW_SPACE = "low_space"
    SHARE_SPLIT = "share_split"


_CHECKS = {
    BlockReason.SHARE_AWAY: "share-there",
    BlockReason.LOW_SPACE: "share-space",
    BlockReason.SHARE_SPLIT: "share-one-file-system",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """The present start condition.

    Attributes:
        reason: the block reason in words; values: the numbers and the text of a person in these words.
        free_bytes: the share's free space, None if unknown.
        since: when the block began, "" without one.
    """

    block_reason: BlockReason = BlockReason.NONE
    reason: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    free_bytes: int | None = None
    since: str = ""


def find_block(share: Share, settings: ShareSettings, host: str, *, short_of_space: bool = False) -> Condition:
    """Check what keeps the service of a host from starting work while the share is there.

    Args:
        short_of_space: the last check found too little space, so ``share.resume_bytes`` must be free again.

    Raises:
        OSError: the share cannot be read.
    """
    free, total = share.free_bytes(), share.total_bytes()
    reason = share.pause_reason()
    if reason is not None:
        return Condition(BlockReason.PAUSED, reason or "there is a PAUSE file in the share", {"text": reason}, free)
    if total > 0 and free < (settings.resume_bytes if short_of_space else settings.low_bytes):
        needed = settings.resume_bytes
        words = lacking(FreeSpace(free, total), needed, "share.resume_bytes")
        return Condition(BlockReason.LOW_SPACE, words, {"needed_bytes": needed}, free)
    reason = share.drain_reason(host)
    if reason is not None:
        return Condition(BlockReason.DRAINING, reason or "somebody asked for it", {"text": reason}, free)
    return Condition(free_bytes=free)


class StartConditions:
    """Checks the share once a second, and logs every change.

    Args:
        find_split: tests whether files can be moved between all folders of the share; returns the obstacle, or "".
    """

    def __init__(
        self,
        share: Share,
        identity: ShareIdentity,
        cache: SegmentCache,
        settings: Settings,
        clock: Clock,
        find_split: Callable[[], str] = lambda: "",
    ) -> None:
        self._share = share
        self._find_split = find_split
        self._cache = cache
        self._identity = identity
        self._host = host_name(settings.leases)
        longest_s = min(settings.retry.longest_s, SOON_S)  # checking the share is cheap
        self._away = Backoff(settings.retry.model_copy(update={"longest_s": longest_s}), clock)
        self._mounts = mounts.table()
        self._real_root = share.root.resolve()
        self._inner_mounts = mounts.mounted_below(self._real_root)
        self._split = ""
        self._split_timer = Every(SOON_S, clock)
        self._check_timer = Every(_CHECK_EVERY_S, clock)
        self._short_of_space = False
        self._now = Condition()
        self.apply(settings.share)

    def apply(self, settings: ShareSettings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    @property
    def now(self) -> Condition:
        """The condition that was found last."""
        return self._now

    def refresh(self) -> Condition:
        """Check the share, if it is time, and return the present condition.

        Raises:
            ShareReplacedError: another share lies at the root now.
        """
        if not self._is_due():
            return self.now
        try:
            self._check_identity()
            self._restore_folders()
            self._check_inner_mounts()
            self._change(self._find_condition())
        except (ShareAwayError, OSError) as exc:
            self.report_away(exc)
        return self.now

    def report_away(self, error: ShareAwayError | OSError) -> None:
        """Note that the share was found to be away; the next check follows after a back-off."""
        self._away.fail()
        self._mounts = mounts.table()
        self._change(Condition(BlockReason.SHARE_AWAY, str(error)))

    def _is_due(self) -> bool:
        """Return whether to check now: once a second, but while the share is away after a back-off or a mount."""
        if self._away.failures:
            return self._away.due or self._mounts_changed()
        return self._check_timer.due()

    def _mounts_changed(self) -> bool:
        """Return whether something, perhaps the share, was mounted or unmounted since the last call."""
        before, self._mounts = self._mounts, mounts.table()
        return self._mounts != before

    def _check_identity(self) -> None:
        identity = self._share.identity()
        if identity.share_id != self._identity.share_id:
            raise ShareReplacedError(f"Another share lies at {self._share.root} now.")
        if identity.device != self._identity.device:
            log.info("share was mounted anew", device=identity.device)
        self._identity = identity
        self._away.succeed()

    def _restore_folders(self) -> None:
        for folder in self._share.restore_folders():
            log.warning("missing folder created again", folder=str(folder))

    def _check_inner_mounts(self) -> None:
        """Test again whether files can be moved between all folders, if mounts inside the share have changed."""
        before, self._inner_mounts = self._inner_mounts, mounts.mounted_below(self._real_root)
        if before != self._inner_mounts or (self._split and self._split_timer.due()):
            self._split = self._find_split()
            self._split_timer.postpone(SOON_S)

    def _find_condition(self) -> Condition:
        if self._split:
            return Condition(BlockReason.SHARE_SPLIT, self._split, free_bytes=self._share.free_bytes())
        found = find_block(self._share, self._settings, self._host, short_of_space=self._short_of_space)
        if found.block_reason is not BlockReason.PAUSED:  # a pause hides whether there is space
            self._short_of_space = found.block_reason is BlockReason.LOW_SPACE
        if found.block_reason is BlockReason.LOW_SPACE:
            self._cache.free_space()
        return found

    def _change(self, condition: Condition) -> None:
        since = self.now.since
        if condition.block_reason is not self.now.block_reason:
            since = "" if condition.block_reason is BlockReason.NONE else utc_now()
            level = log.warning if condition.block_reason in _CHECKS else log.info
            name = _CHECKS.get(condition.block_reason)
            remedy = {"remedy": f"`dualface doctor --only {name}` shows more"} if name else {}
            level("condition changed", hindrance=condition.block_reason.value, reason=condition.reason, **remedy)
        self._now = replace(condition, since=since)
