"""Cells of the matrix: one fault in one of its ways at one step, carried out and judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.faults.faults import FAULTS, Fault, Variant
from tests.faults.setting import Reference, Setting, setting
from tests.faults.steps import STEPS, Step
from tests.faults.verdict import Verdict, judge
from tests.faults.watch import Watcher

NOT_STRUCK = "the fault did not strike"


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    fault: Fault
    step: Step
    variant: Variant

    @property
    def name(self) -> str:
        return f"{self.fault.name} / {self.step.name} / {self.variant.name}"

    def matches(self, patterns: list[str]) -> bool:
        return any(fnmatchcase(self.name, pattern) or pattern in self.name for pattern in patterns)

    def run(self, folder: Path, reference: Reference) -> Verdict:
        """Carry it out on a share of its own."""
        begun = time.monotonic()
        with setting(folder, reference, self.variant.rule, **self._sections()) as scene:
            with Watcher(scene.disk) as watcher:
                wrongs = self._play(scene)
            verdict = judge(scene, watcher, may_degrade=self.fault.may_degrade, redone=self.step.redone)
            if not scene.control.hits:
                verdict.outcome = NOT_STRUCK
        verdict.wrongs += wrongs
        verdict.seconds = time.monotonic() - begun
        return verdict

    def _sections(self) -> dict[str, dict[str, Any]]:
        both = self.fault.sections, self.step.sections
        return {name: {k: v for each in both for k, v in each.get(name, {}).items()} for name in {*both[0], *both[1]}}

    def _play(self, scene: Setting) -> list[str]:
        scene.drop()
        scene.start()
        try:
            self._strike(scene)
            scene.wait_for(scene.has_ended, "the end of the job")
        except TimeoutError as error:
            return [f"{error}; the journal ends with {scene.service().tail().splitlines()[-2:]}"]
        return [f"a service ended with status {s}" for s in (service.stop() for service in scene.services) if s]

    def _strike(self, scene: Setting) -> None:
        strike, control = self.variant.strike, scene.control
        moment = control.met if strike else lambda: control.hits
        scene.wait_for(lambda: moment() or scene.has_ended(), f"{self.variant.rule}")
        if strike is not None and (pid := control.met()):
            strike(scene, pid)
            control.go()


def all_cells() -> Iterator[Cell]:
    """Every cell that makes sense, fault by fault."""
    for fault in FAULTS:
        for step in STEPS:
            for variant in fault.variants(step):
                yield Cell(fault, step, variant)
