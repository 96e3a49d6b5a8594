"""Profiles that every installation has. An inbox, a sidecar or ``--profile`` names one; the configuration may change
single keys of it, and what it leaves out stays as it is here.
"""

from __future__ import annotations

from typing import Any

from daemon.nested import merged

DESCRIPTIONS = {
    "balanced": "The defaults, under a name of their own.",
    "fast": "For previews and long queues: less time, softer pictures.",
    "archive": "For masters that are kept: more time, finer pictures, larger files.",
    "low-memory": "For machines that are short of memory: fewer pictures wait for their turn.",
}

BUILT_IN: dict[str, dict[str, Any]] = {
    "balanced": {"preset": "veryfast", "crf": 20},
    "fast": {"preset": "ultrafast", "crf": 24},
    "archive": {"preset": "slow", "crf": 16, "detect": {"rate_hz": 15.0}},
    "low-memory": {"preset": "superfast", "threads": 1, "lookahead": {"pool_bytes": 2**27}},
}


def completed(profiles: dict[str, Any]) -> dict[str, Any]:
    """The configured profiles with the built-in ones under them. What is no profile is left for validation."""
    return {**BUILT_IN, **{name: merged(BUILT_IN.get(name), given) for name, given in profiles.items()}}
