"""Encoding frames that lie on a real GPU: NVENC where it has one, else x264 through pinned memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from engines.cpu.encode import X264Encoder
from engines.cuda.encoding.device_encoders import DeviceEncoders
from engines.cuda.encoding.download import DownloadingEncoder
from engines.cuda.encoding.sessions import probe_sessions
from engines.errors import EncoderMissingError
from engines.frames import ColorTags, EncodedPacket, Frame
from engines.nvenc_sessions import SessionProbe
from engines.protocols import Encoder
from engines.settings import DeviceSettings, EncoderSettings
from tests.support.gpu_presence import needs_gpu
from tests.support.synth import image, number_in

pytestmark = [pytest.mark.gpu, needs_gpu]

WIDTH, HEIGHT = 640, 360
BT709 = ColorTags(1, 1, 1)


@pytest.fixture(scope="module")
def cupy() -> Any:
    return pytest.importorskip("cupy")


@pytest.fixture(scope="module")
def found() -> SessionProbe:
    return probe_sessions(0)


@pytest.fixture
def stream(cupy: Any) -> Iterator[Any]:
    yield cupy.cuda.Stream(non_blocking=True)


def host(number: int) -> np.ndarray:
    """NV12 of a numbered frame, (1.5 H, W)."""
    return image(number, WIDTH, HEIGHT).reformat(format="nv12").to_ndarray()


def on_gpu(cupy: Any, stream: Any, number: int, pitch: int = WIDTH) -> Frame:
    with stream:
        memory = cupy.empty((HEIGHT * 3 // 2, pitch), "u1")[:, :WIDTH]
        memory[...] = cupy.asarray(host(number))
        if pitch == WIDTH:
            return Frame(memory[:HEIGHT], memory[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2), 7 * number, 7)
        chroma = cupy.ascontiguousarray(memory[HEIGHT:]).reshape(HEIGHT // 2, WIDTH // 2, 2)
        return Frame(memory[:HEIGHT], chroma, 7 * number, 7)


def create(stream: Any, encoder: str = "auto", gpu: DeviceEncoders | None = None) -> Encoder:
    return (gpu or DeviceEncoders(DeviceSettings())).create(
        WIDTH, HEIGHT, time_base=Fraction(1, 1000), fps=Fraction(30), color=BT709,
        settings=EncoderSettings(encoder=encoder, threads=4), stream=stream.ptr,
    )  # fmt: skip


def decoded(encoder: Encoder, packets: list[EncodedPacket]) -> list[av.VideoFrame]:
    context = av.CodecContext.create("h264", "r")
    context.extradata = encoder.extradata
    frames = []
    for packet in packets:
        raw = av.Packet(packet.data)
        raw.pts = packet.pts
        frames += context.decode(raw)
    return frames + context.decode(None)


def test_auto_takes_nvenc_where_it_is_and_x264_with_a_note_where_not(stream: Any, found: SessionProbe) -> None:
    """An H200 answers every session with error 2."""
    gpu = DeviceEncoders(DeviceSettings())
    encoder = create(stream, "auto", gpu)
    assert encoder.name == ("h264_nvenc" if found.has_encoder else "libx264")
    assert gpu.notes == (() if found.has_encoder else (f"NVENC is not used: {found.error}",))
    if not found.has_encoder:
        assert (found.opened, found.status, found.error) == (0, 2, "NVENC returned error 2")
        with pytest.raises(EncoderMissingError, match="error 2"):
            create(stream, "nvenc", gpu)


def test_what_was_counted_when_the_service_started_is_not_asked_again(stream: Any, found: SessionProbe) -> None:
    gpu = DeviceEncoders(DeviceSettings(), found, lambda *_: pytest.fail("asked"))
    assert create(stream, "auto", gpu).name == ("h264_nvenc" if found.has_encoder else "libx264")
    assert gpu.notes == (() if found.has_encoder else (f"NVENC is not used: {found.error}",))


@pytest.mark.parametrize("kind", ["auto", "x264"])
@pytest.mark.parametrize("pitch", [WIDTH, 704])
def test_every_frame_comes_back_at_its_time(cupy: Any, stream: Any, kind: str, pitch: int) -> None:
    encoder = create(stream, kind)
    packets = [p for n in range(40) for p in encoder.encode(on_gpu(cupy, stream, n, pitch))]
    frames = decoded(encoder, packets + encoder.flush())
    assert [f.pts for f in frames] == [7 * n for n in range(40)]
    assert [number_in(f.to_ndarray()[:HEIGHT]) for f in frames] == list(range(40))
    assert (frames[0].color_primaries, frames[0].color_trc, frames[0].colorspace) == (1, 1, 1)


def test_memory_may_be_drawn_on_again_once_the_frame_is_let_go(cupy: Any, stream: Any) -> None:
    """Frames in memory that CuPy's pool hands out again and again, as the compositor's are."""
    encoder = create(stream, "x264")
    packets = []
    for n in range(60):
        packets += encoder.encode(on_gpu(cupy, stream, n))
        with stream:
            cupy.empty((HEIGHT * 3 // 2, WIDTH), "u1")[...] = 0
    frames = decoded(encoder, packets + encoder.flush())
    assert [number_in(f.to_ndarray()[:HEIGHT]) for f in frames] == list(range(60))


def test_packets_are_those_of_frames_that_were_in_host_memory_all_along(cupy: Any, stream: Any) -> None:
    def x264() -> X264Encoder:
        return X264Encoder(
            WIDTH, HEIGHT, time_base=Fraction(1, 1000), fps=Fraction(30), color=BT709, settings=EncoderSettings(),
            threads=2,
        )  # fmt: skip

    through, plain = DownloadingEncoder(x264(), WIDTH, HEIGHT, stream=stream.ptr), x264()
    ours = [p for n in range(30) for p in through.encode(on_gpu(cupy, stream, n))] + through.flush()
    theirs = []
    for n in range(30):
        memory = host(n)
        chroma = memory[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2)
        theirs += plain.encode(Frame(memory[:HEIGHT], chroma, 7 * n, 7))
    assert ours == theirs + plain.flush()
    assert through.extradata == plain.extradata


def test_copies_take_no_time_from_the_encoder(cupy: Any, stream: Any) -> None:
    """1080p, ultrafast: the whole may be a little slower than x264 alone on the same frames, no more."""
    width, height, count = 1920, 1080, 300
    noise = np.random.default_rng(1).integers(60, 180, (8, height * 3 // 2, width), np.uint8)
    settings = EncoderSettings(preset="ultrafast")

    def x264() -> X264Encoder:
        return X264Encoder(
            width, height, time_base=Fraction(1, 30), fps=Fraction(30), color=BT709, settings=settings, threads=16
        )

    def frames(source: Any) -> list[Frame]:
        chroma = (height // 2, width // 2, 2)
        return [Frame(s[:height], s[height:].reshape(chroma), n, 1) for n, s in enumerate(source)]

    def seconds(encoder: Encoder, given: list[Frame]) -> float:
        begin = time.perf_counter()
        for n in range(count):
            source = given[n % len(given)]
            encoder.encode(Frame(source.y, source.uv, n, 1))
        encoder.flush()
        return time.perf_counter() - begin

    on_host = frames(noise)
    with stream:
        on_device = frames(cupy.asarray(noise))
    stream.synchronize()
    seconds(x264(), on_host)
    ratios = [
        seconds(x264(), on_host) / seconds(DownloadingEncoder(x264(), width, height, stream=stream.ptr), on_device)
        for _ in range(3)
    ]
    assert sorted(ratios)[1] > 0.9, ratios
