"""The built-in profiles. An inbox, a sidecar or ``--profile`` names one; the configuration may change keys of it."""

from __future__ import annotations

from typing import Any

from daemon.nested import merged

DESCRIPTIONS = {
    "balanced": "The defaults, under a name of their own.",
    "fast": "For previews and long queues: about a third less computing, softer frames, larger files.",
    "archive": "For masters that are kept: finer frames, two or three times the time and size, more memory.",
    "low-memory": "For machines short of memory: about a third less of it, larger files, a shorter look-ahead.",
}

BUILT_IN: dict[str, dict[str, Any]] = {
    "balanced": {"preset": "veryfast", "crf": 20},
    "fast": {"preset": "ultrafast", "crf": 26},
    "archive": {"preset": "slow", "crf": 16, "detect": {"rate_hz": 15.0}},
    "low-memory": {"preset": "ultrafast", "crf": 23, "threads": 1, "lookahead": {"pool_bytes": 2**26}},
}


def completed(profiles: dict[str, Any]) -> dict[str, Any]:
    """Return the configured profiles on top of the built-in ones. Values of a wrong type are left to validation."""
    return {**BUILT_IN, **{name: merged(BUILT_IN.get(name), given) for name, given in profiles.items()}}
