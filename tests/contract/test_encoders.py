"""What every encoder must do. A new backend is one more entry in ``ENCODERS``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from engines.cpu.encode import X264Encoder, gop_frames
from engines.cpu.filters import planes_of
from engines.cuda.encoding.nvenc import NvencEncoder
from engines.cuda.encoding.sessions import EncoderSessions
from engines.frames import ColorTags, EncodedPacket, Frame
from engines.media.mux import decoding_times, reorder_depth
from engines.protocols import Encoder
from engines.settings import EncoderSettings
from tests.fakes import pynvvideocodec
from tests.support.synth import image, number_in

MakeEncoder = Callable[..., Encoder]
SETTINGS = EncoderSettings(preset="veryfast", crf=20)
PROFILE_HIGH = 100  # profile_idc, the byte after the header of the sequence parameter set
BT709 = ColorTags(primaries=1, transfer=1, matrix=1)


def _x264(width: int, height: int, time_base: Fraction = Fraction(1, 1000), color: ColorTags = BT709) -> Encoder:
    return X264Encoder(width, height, time_base=time_base, fps=Fraction(30), color=color, settings=SETTINGS, threads=2)


class _Uploading:
    """NVENC takes frames of the GPU: here the vendor's library is a fake that reads host memory, by its address."""

    def __init__(
        self, width: int, height: int, time_base: Fraction = Fraction(1, 1000), color: ColorTags = BT709
    ) -> None:
        self._encoder = NvencEncoder(
            width, height, fps=Fraction(30), color=color, settings=SETTINGS, sessions=EncoderSessions(8),
            empty=pynvvideocodec.device_empty,
        )  # fmt: skip
        self.name, self.extradata = self._encoder.name, self._encoder.extradata

    def encode(self, frame: Frame) -> list[EncodedPacket]:
        on_gpu = pynvvideocodec.on_device
        return self._encoder.encode(Frame(on_gpu(frame.y), on_gpu(frame.uv), frame.pts, frame.duration))

    def flush(self) -> list[EncodedPacket]:
        return self._encoder.flush()


ENCODERS = {"x264": _x264, "nvenc": _Uploading}


@pytest.fixture(params=ENCODERS.values(), ids=ENCODERS.keys())
def make_encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MakeEncoder:
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", pynvvideocodec)
    return request.param


def frame(number: int, pts: int, width: int = 320, height: int = 180) -> Frame:
    y, uv = planes_of(image(number, width, height).reformat(format="nv12"))
    return Frame(y, uv, pts, 33)


def encode(encoder: Encoder, times: list[int]) -> list[EncodedPacket]:
    packets = [p for number, pts in enumerate(times) for p in encoder.encode(frame(number, pts))]
    return packets + encoder.flush()


def decode(encoder: Encoder, packets: list[EncodedPacket]) -> list[av.VideoFrame]:
    context = av.CodecContext.create("h264", "r")
    context.extradata = encoder.extradata
    frames = []
    for packet in packets:
        raw = av.Packet(packet.data)
        raw.pts = packet.pts
        frames += context.decode(raw)
    return frames + context.decode(None)


@pytest.mark.parametrize("preset", ["veryfast", "medium", "slow"])
def test_slow_presets_do_not_hold_many_frames_back(preset: Any) -> None:
    """Each takes memory: x264's own look-ahead is 50 frames for "slow"."""
    settings = EncoderSettings(preset=preset)
    encoder = X264Encoder(
        320, 180, time_base=Fraction(1, 1000), fps=Fraction(30), color=BT709, settings=settings, threads=2
    )
    held = next(number for number in range(100) if encoder.encode(frame(number, 33 * number)))
    assert held < 30


UNEVEN = np.cumsum([0, *(7 + 29 * (n % 4) for n in range(59))]).tolist()


def test_every_frame_comes_back_at_its_exact_time(make_encoder: MakeEncoder) -> None:
    encoder = make_encoder(320, 180)
    frames = decode(encoder, encode(encoder, UNEVEN))
    assert [f.pts for f in frames] == UNEVEN
    assert [number_in(f.to_ndarray()[:180]) for f in frames] == list(range(60))


def test_a_fresh_encoder_begins_with_a_keyframe_and_keeps_headers_out_of_it(make_encoder: MakeEncoder) -> None:
    encoder = make_encoder(320, 180)
    packets = encode(encoder, UNEVEN)
    assert packets[0].is_keyframe
    assert packets[0].pts == UNEVEN[0]
    assert encoder.extradata
    nal_types = {chunk[0] & 31 for p in packets for chunk in p.data.split(b"\x00\x00\x01")[1:] if chunk}
    assert not nal_types & {7, 8}


def test_the_same_frames_give_the_same_packets(make_encoder: MakeEncoder) -> None:
    first, second = make_encoder(320, 180), make_encoder(320, 180)
    assert encode(first, UNEVEN) == encode(second, UNEVEN)
    assert first.extradata == second.extradata


def test_the_stream_is_h264_high_420_limited_with_tags(make_encoder: MakeEncoder) -> None:
    encoder = make_encoder(320, 180)
    frames = decode(encoder, encode(encoder, UNEVEN[:5]))
    assert encoder.extradata[encoder.extradata.index(b"\x67") + 1] == PROFILE_HIGH
    assert frames[0].format.name == "yuv420p"
    assert (frames[0].color_primaries, frames[0].color_trc, frames[0].colorspace) == (1, 1, 1)
    assert frames[0].color_range == 1


def test_padded_rows_and_planes_in_separate_memory_are_taken(make_encoder: MakeEncoder) -> None:
    source = frame(5, 0)
    y = np.zeros((180, 384), np.uint8)[:, :320]
    uv = np.zeros((90, 200, 2), np.uint8)[:, :160]
    y[:], uv[:] = source.y, source.uv
    plain, padded = make_encoder(320, 180), make_encoder(320, 180)
    assert plain.encode(source) + plain.flush() == padded.encode(Frame(y, uv, 0, 33)) + padded.flush()


@pytest.mark.parametrize("one_block", [True, False])
def test_the_callers_memory_may_change_after_encode(make_encoder: MakeEncoder, one_block: bool) -> None:
    kept, reused = make_encoder(320, 180), make_encoder(320, 180)
    block = np.empty(320 * 270, np.uint8)
    y, uv = block[: 320 * 180].reshape(180, 320), block[320 * 180 :].reshape(90, 160, 2)
    if not one_block:
        y, uv = y.copy(), uv.copy()
    packets = []
    for number, pts in enumerate(UNEVEN[:20]):
        source = frame(number, pts)
        y[:], uv[:] = source.y, source.uv
        packets += reused.encode(Frame(y, uv, pts, 33))
        y[:], uv[:] = 0, 0
    assert packets + reused.flush() == encode(kept, UNEVEN[:20])


def test_decoding_times_fit_the_reordering(make_encoder: MakeEncoder) -> None:
    encoder = make_encoder(320, 180)
    packets = encode(encoder, UNEVEN)
    timed = list(decoding_times(packets, reorder_depth(encoder.extradata, packets[0]), 33))
    assert all(a.dts < b.dts for a, b in pairwise(timed))
    assert all(t.dts <= t.packet.pts for t in timed)


def test_groups_of_frames_last_eight_seconds() -> None:
    assert gop_frames(Fraction(30000, 1001)) == 240
    assert gop_frames(Fraction(1)) == 12
    assert gop_frames(Fraction(240)) == 600
