"""Keys of earlier versions: they are ignored, and a line in the journal gives the reason."""

from __future__ import annotations

import structlog

from daemon.config import catalog
from daemon.config.sources import Layer
from daemon.nested import without

RETIRED: dict[catalog.Path, str] = {
    ("degradation", "lowest", "encoder_sessions"): "a busy encoder no longer lowers the quality of the video; see"
    " encoder_busy in the profiles and device.nvenc_fallback",
    ("degradation", "lowest", "disk_low"): "a full disk no longer lowers the quality of the video: the job waits",
    ("device", "batching"): "every job has a process and a detector of its own",
    ("device", "max_wait_ms"): "every job has a process and a detector of its own, so no frame waits for others",
}

log = structlog.get_logger(__name__)


def without_retired(layer: Layer) -> Layer:
    """Return the layer without retired keys; each is logged with its origin and the reason."""
    found = [path for path in RETIRED if layer.has(path)]
    for path in found:
        log.warning("setting passed over", key=catalog.dotted(path), origin=layer.origin(path), reason=RETIRED[path])
    return Layer(without(layer.values, set(found)), layer.origins, layer.problems)
