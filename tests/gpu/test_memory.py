"""The GPU's memory: allocated once, then used again and again."""

import numpy as np
import pytest

from engines.frames import Rect
from engines.media.probe import probe
from engines.protocols import Composition, TileSource
from engines.settings import DeviceSettings
from tests.support.gpu_presence import needs_gpu
from tests.support.recordings import write_recording

cupy = pytest.importorskip("cupy")
pytestmark = [pytest.mark.gpu, needs_gpu]


@pytest.fixture
def allocations():
    """How often the pool asked the GPU for memory; the pool is fresh."""
    asked = []

    def allocate(size, *more):
        asked.append(size)
        return cupy.cuda.memory._malloc(size, *more)

    before = cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(cupy.cuda.MemoryPool(allocate).malloc)
    yield asked
    cupy.cuda.set_allocator(before)


def test_after_the_first_frames_nothing_is_allocated(tmp_path, allocations):
    """Decoding, thumbnails, detection and composition, with frames held back as the look-ahead does."""
    from engines.cuda.backend import open_cuda  # noqa: PLC0415

    path = write_recording(tmp_path / "clip.mp4", seconds=10, size=(640, 360), audio_track=False)
    info = probe(path)
    backend = open_cuda(DeviceSettings(backend="cuda"))
    decoder = backend.decoder(path, info, max_surface_pixels=10**7)
    preprocessor, compositor, detector = backend.preprocessor(info), backend.compositor(), backend.detector()
    held, counts = [], []
    for batch in decoder.batches(size=8):
        thumbnails = preprocessor.begin_thumbnails(batch.frames, 64, 36)
        tensor = preprocessor.detector_input(batch.frames[::2], 640, 384)
        preprocessor.candidates(detector.run(tensor), 0.3)
        assert thumbnails().shape == (len(batch), 36, 64)
        held += batch.frames
        shown, held = held[:-45], held[-45:]
        tiles = [TileSource(frame, Rect(10.5, 0, 300, 337.5)) for frame in shown]
        compositor.compose_batch([Composition(tile, tile, 0, 1) for tile in tiles])
        counts.append(len(allocations))
    decoder.close()
    assert counts[-2] == counts[len(counts) // 2]
    assert counts[0] > 0
    assert np.sum(allocations) < 2**29
