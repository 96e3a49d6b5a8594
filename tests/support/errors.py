"""All classes of errors in the project."""

from __future__ import annotations

import importlib
import pkgutil

import daemon
import engines
import pipeline
from engines.errors import ExplainedError

_NEEDS_GPU = "engines.cuda"  # its modules load CuPy; all its errors are in engines.errors


def error_classes() -> list[type[ExplainedError]]:
    """Import all modules that need no GPU, and return the classes of errors in them."""
    for package in (daemon, pipeline, engines):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(_NEEDS_GPU) and not module.name.endswith("__main__"):
                try:
                    importlib.import_module(module.name)
                except ModuleNotFoundError as error:
                    assert error.name == "cupy", error.name
    packages = {"daemon", "pipeline", "engines"}
    return [kind for kind in _with_children(ExplainedError) if kind.__module__.split(".")[0] in packages]


def _with_children(kind: type[ExplainedError]) -> list[type[ExplainedError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _with_children(child))]
