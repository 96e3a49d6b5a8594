"""Checks of the software: Python, libraries, configuration."""

from __future__ import annotations

import sys

from daemon.config.loader import load_with_origins
from daemon.config.render import rows
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, ok, warning
from daemon.diagnostics.versions import MATRIX, PYTHON, Verified, installed


@check("python")
def python(_context: Context) -> Finding:
    """The version of Python, compared with the versions that the tests have run with."""
    running = ".".join(map(str, sys.version_info[:3]))
    facts = {"version": running, "executable": sys.executable, "tested": [PYTHON.oldest, PYTHON.newest]}
    if verdict := PYTHON.verdict(running):
        return warning(
            f"Python {running} is {verdict} than what was tested ({_range(PYTHON)}).",
            "Nothing to do if there are no problems; otherwise install with PYTHON=python" + PYTHON.newest,
            facts=facts,
        )
    return ok(f"Python {running} in {sys.prefix}.", facts=facts)


@check("libraries")
def libraries(_context: Context) -> Finding:
    """The versions of the libraries, compared with those that the tests have run with."""
    found = {tested: installed(tested.name) for tested in MATRIX}
    facts = {tested.name: version for tested, version in found.items() if version}
    missing = [tested.name for tested, version in found.items() if version is None and not tested.extra]
    if missing:
        return warning(
            f"Not installed: {', '.join(missing)}.", "Install the package again: ./install.sh service", facts=facts
        )
    if {"onnxruntime", "onnxruntime-gpu"} <= facts.keys():
        return warning(
            "onnxruntime and onnxruntime-gpu are both installed: they use the same folder, and one breaks the other.",
            "Install the program again with the right one: ./install.sh service --cuda, or --cpu",
            facts=facts,
        )
    untested = [
        f"{tested.name} {version} ({verdict}, tested: {_range(tested)})"
        for tested, version in found.items()
        if version and (verdict := tested.verdict(version))
    ]
    if untested:
        return warning(
            f"Not tested: {', '.join(untested)}.",
            "Nothing to do if there are no problems; otherwise install the tested versions.",
            facts=facts,
        )
    return ok(f"All {len(facts)} libraries have tested versions.", facts=facts)


def _range(tested: Verified) -> str:
    return tested.newest if tested.oldest == tested.newest else f"{tested.oldest} to {tested.newest}"


@check("configuration")
def configuration(context: Context) -> Finding:
    """The origins of the settings: files, environment, probe, defaults."""
    origins = sorted({row.origin for row in rows(load_with_origins(context.config))} - {"default"})
    return ok(
        f"Valid; set by {', '.join(origins)}." if origins else "Valid; all values are defaults.",
        facts={"origins": origins},
    )
