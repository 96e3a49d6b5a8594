"""A stop request and the loss of a job are two things: the loss comes first, and only a stop has a checkpoint."""

from __future__ import annotations

import pytest

from pipeline.errors import JobStopped, PipelineError
from pipeline.interruption import UNINTERRUPTED, Interruption


class LostError(PipelineError):
    """The job belongs to another host."""


def lost() -> None:
    raise LostError("another host has the job")


def test_a_job_that_nothing_interrupts_goes_on() -> None:
    UNINTERRUPTED.check("while it was tested")


def test_a_requested_stop_says_what_it_interrupted() -> None:
    with pytest.raises(JobStopped, match="the job was asked to stop while it was tested"):
        Interruption(lambda: True).check("while it was tested")


def test_a_lost_job_does_not_ask_for_a_stop() -> None:
    with pytest.raises(LostError):
        Interruption(lambda: pytest.fail("asked"), lost).check("while it was tested")
