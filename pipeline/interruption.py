"""The two ways in which a job ends early: a request to stop, and the loss of the job to another host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.errors import JobStopped

StopRequest: TypeAlias = Callable[[], bool]  # whether the job should stop
OwnershipCheck: TypeAlias = Callable[[], None]  # raises an error if the job belongs to another host now


def _never() -> bool:
    return False


def _no_check() -> None:
    """The job cannot be lost."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """What can end a job between two steps.

    Attributes:
        stop_requested: after it returns true, the job keeps what is done and raises JobStopped.
        confirm_ownership: called before files are written; its error ends the job, and nothing more is written.
    """

    stop_requested: StopRequest = _never
    confirm_ownership: OwnershipCheck = _no_check

    def check(self, activity: str) -> None:
        """Raise an error if the job must end now.

        Args:
            activity: completes the message "the job was asked to stop ...".

        Raises:
            JobStopped: a stop is requested.
            ExplainedError: what ``confirm_ownership`` raised.
        """
        self.confirm_ownership()
        if self.stop_requested():
            raise JobStopped(f"the job was asked to stop {activity}")


UNINTERRUPTED = Interruption()
