"""Keys that configurations of earlier versions may still have: they are passed over, and why is said."""

from __future__ import annotations

import structlog

from daemon.config import catalog as keys
from daemon.config.sources import Layer
from daemon.nested import without

RETIRED: dict[keys.Path, str] = {
    ("degradation", "lowest", "encoder_sessions"): "a busy encoder no longer lowers the frame's quality; see"
    " encoder_busy in the profiles and device.nvenc_fallback",
    ("degradation", "lowest", "disk_low"): "a full disk no longer lowers the frame's quality: the job waits",
    ("device", "batching"): "every job has a process and a detector of its own",
    ("device", "max_wait_ms"): "every job has a process and a detector of its own, so no frame waits for others",
}

log = structlog.get_logger(__name__)


def without_retired(layer: Layer) -> Layer:
    """The layer without the keys that have gone; each is named in the journal, with its place."""
    found = [path for path in RETIRED if layer.has(path)]
    for path in found:
        log.warning("setting passed over", key=keys.dotted(path), origin=layer.origin(path), reason=RETIRED[path])
    return Layer(without(layer.values, set(found)), layer.origins, layer.problems)
