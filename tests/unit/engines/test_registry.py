"""Which device is chosen, and what its parts are."""

from fractions import Fraction

import numpy as np
import pytest
from structlog.testing import capture_logs

from engines.errors import DeviceUnavailableError
from engines.frames import ColorTags, Frame, Rect
from engines.protocols import TileSource
from engines.registry import open_backend
from engines.settings import DeviceSettings, EncoderSettings


@pytest.fixture
def cpu(tmp_path):
    backend = open_backend(DeviceSettings(backend="cpu"), tmp_path)
    yield backend
    backend.close()


def test_the_cpu_needs_no_excuse(cpu):
    assert (cpu.device, cpu.notes) == ("cpu", ())


def test_auto_says_why_it_is_not_cuda():
    with capture_logs() as lines:
        backend = open_backend(DeviceSettings())
    assert backend.device == "cpu"
    assert backend.notes[0].startswith("CUDA is not used: ")
    assert [(line["event"], line["device"]) for line in lines] == [("device chosen", "cpu")]
    assert lines[0]["reason"] in backend.notes[0]


def test_cuda_is_never_replaced_silently():
    with pytest.raises(DeviceUnavailableError) as caught:
        open_backend(DeviceSettings(backend="cuda"))
    assert caught.value.environmental


def test_nvenc_is_never_replaced_silently(cpu):
    with pytest.raises(DeviceUnavailableError, match="nvenc"):
        _encoder(cpu, "nvenc")


def _encoder(backend, name):
    return backend.encoder(
        64, 36, time_base=Fraction(1, 25), fps=Fraction(25), color=ColorTags(), settings=EncoderSettings(encoder=name)
    )


def test_parts_fit_together(cpu):
    frame = Frame(np.full((72, 128), 90, np.uint8), np.full((36, 64, 2), 128, np.uint8), 0, 1)
    tile = TileSource(frame, Rect(3.5, 4.5, 32, 36))
    encoder = _encoder(cpu, "auto")
    packets = encoder.encode(cpu.compositor(64, 36).compose(tile, tile, 0, 1)) + encoder.flush()
    assert [packet.pts for packet in packets] == [0]
    detector, embedder = cpu.detector(), cpu.embedder()
    assert len(detector.run(np.zeros((1, 3, 64, 64), np.float32))) == 12
    assert embedder.run(np.zeros((2, 3, 150, 150), np.float32))[0].shape == (2, 128)
    assert {detector.name, embedder.name} == {"onnxruntime-cpu"}
