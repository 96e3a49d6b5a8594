"""The conditions for starting work: the share is there, nobody has paused the service, and there is enough space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import structlog

from daemon.backoff import SOON_S, Backoff
from daemon.clock import Clock, utc_now
from daemon.config.settings import Settings, ShareSettings
from daemon.errors import ShareAwayError, ShareReplacedError
from daemon.jobs.segment_cache import SegmentCache
from daemon.share import mounts
from daemon.share.leases import host_name
from daemon.share.share import Share, ShareIdentity
from pipeline.degradation.space import Free, lacking

_LOOK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


class BlockReason(StrEnum):
    """Why the service starts nothing new; NONE if it may. While it is DRAINING, claimed jobs are still finished."""

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
    """The result of the checks.

    Attributes:
        reason: the block reason in words; ``values`` are the numbers and the person's text in it.
        free_bytes: the share's free space, None if it is unknown.
        since: when the block began, "" if there is none.
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
        words = lacking(Free(free, total), needed, "share.resume_bytes")
        return Condition(BlockReason.LOW_SPACE, words, {"needed_bytes": needed}, free)
    reason = share.drain_reason(host)
    if reason is not None:
        return Condition(BlockReason.DRAINING, reason or "somebody asked for it", {"text": reason}, free)
    return Condition(free_bytes=free)


class Conditions:
    """Checks the share from time to time, and logs when the condition changes.

    Args:
        torn: checks whether files can be moved between all folders of the share; returns the obstacle, or "".
    """

    def __init__(
        self,
        share: Share,
        identity: ShareIdentity,
        kept: SegmentCache,
        settings: Settings,
        clock: Clock,
        torn: Callable[[], str] = lambda: "",
    ) -> None:
        self._share = share
        self._torn = torn
        self._kept = kept
        self._identity = identity
        self.settings = settings.share
        self._host = host_name(settings.leases)
        self._clock = clock
        longest_s = min(settings.retry.longest_s, SOON_S)  # a look reads one small file
        self._away = Backoff(settings.retry.model_copy(update={"longest_s": longest_s}), clock)
        self._mounts = mounts.table()
        self._real_root = share.root.resolve()
        self._inner_mounts = mounts.mounted_below(self._real_root)
        self._split = ""
        self._split_look_at = clock()
        self._look_at = clock()
        self._short_of_space = False
        self.now = Condition()

    def look(self) -> Condition:
        """The present condition.

        Raises:
            ShareReplacedError: another share lies there now.
        """
        if self._clock() < self._look_at or not (self._away.due or self._is_mounted_anew()):
            return self.now
        self._look_at = self._clock() + _LOOK_EVERY_S
        try:
            self._check_identity()
            self._restore_folders()
            self._check_inner_mounts()
            self._change(self._block_reason())
        except (ShareAwayError, OSError) as exc:
            self.lost(exc)
        return self.now

    def lost(self, error: ShareAwayError | OSError) -> None:
        """The share has been found to be away: leave everything as it is, and look again later."""
        self._away.fail()
        self._mounts = mounts.table()
        self._change(Condition(BlockReason.SHARE_AWAY, str(error)))

    def _is_mounted_anew(self) -> bool:
        """Whether something was mounted or unmounted since this was asked last: the share, perhaps."""
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
            log.warning("folder had gone, made again", folder=str(folder))

    def _check_inner_mounts(self) -> None:
        """Look anew whether files can be moved between all folders, where something was mounted inside the share."""
        before, self._inner_mounts = self._inner_mounts, mounts.mounted_below(self._real_root)
        again = self._split and self._clock() >= self._split_look_at
        if before != self._inner_mounts or again:
            self._split = self._torn()
            self._split_look_at = self._clock() + SOON_S

    def _block_reason(self) -> Condition:
        if self._split:
            return Condition(BlockReason.SHARE_SPLIT, self._split, free_bytes=self._share.free_bytes())
        found = find_block(self._share, self.settings, self._host, short_of_space=self._short_of_space)
        if found.block_reason is not BlockReason.PAUSED:  # a pause hides whether there is space
            self._short_of_space = found.block_reason is BlockReason.LOW_SPACE
        if found.block_reason is BlockReason.LOW_SPACE:
            self._kept.make_room()
        return found

    def _change(self, condition: Condition) -> None:
        since = self.now.since
        if condition.block_reason is not self.now.block_reason:
            since = "" if condition.block_reason is BlockReason.NONE else utc_now()
            level = log.warning if condition.block_reason in _CHECKS else log.info
            name = _CHECKS.get(condition.block_reason)
            remedy = {"remedy": f"`dualface doctor --only {name}` shows more"} if name else {}
            level("condition changed", hindrance=condition.block_reason.value, reason=condition.reason, **remedy)
        self.now = replace(condition, since=since)
