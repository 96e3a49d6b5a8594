"""The encoder's part of PyNvVideoCodec 2.2.4, as far as this project uses it, for machines without NVENC.

Behind it x264 encodes for real. What it imitates was recorded from the real library: on an H200, which has no NVENC
(error 2), and by running the library's own code over a stand-in for the driver (everything else). The facts:

* ``CreateEncoder(width, height, format, use_cpu_input, **options)``; options become strings; options and presets that
  it does not know are passed over without an error. It opens one session to ask for the GPU's limits, closes it,
  then opens the session of the encoder.
* A session that the driver refuses raises ``PyNvVCException``, whose base is Exception, with the text of ``REFUSAL``.
  nvEncodeAPI.h: 1 no device, 2 unsupported device, 10 out of memory, 21 incompatible client key. Over the limit of
  sessions drivers answer 10 or 21.
* ``Encode`` takes an object whose ``cuda()`` gives views with ``__cuda_array_interface__``, luma (H, W, 1) and chroma
  (H/2, W/2, 2); it copies them, then returns a list of dicts with ``data``, ``timestamp`` (the number of the
  frame, whatever the caller gave) and ``picture_type`` (3 IDR, 0 P). It keeps three frames back; ``EndEncode``
  returns them.
* Every IDR comes with SPS and PPS before it, also with ``repeatspspps=0``. The SPS has no colour description.
  ``GetSequenceParams`` gives both, in Annex B.
* The session closes with the object's last reference.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from engines.cpu.filters import planes_of

REFUSAL = (
    "PyNvEncoderCaps : \nError code : {status}\nError Type : "
    "m_nvenc.nvEncOpenEncodeSessionEx(&encodeSessionExParams, &hEncoder) returned error {status}\n"
    "at /project/src/PyNvVideoCodec/src/PyNvEncoder.cpp:1103\n"
)
KEPT_BACK = 3
IDR, P = 3, 0
DEFAULTS = {"fps": "30", "gop": "250", "bf": "0", "cq": "23"}


class PyNvVCException(Exception):  # the library's name
    """As the library raises it."""


class Driver:
    """The state of the whole GPU. ``status``: what it answers over the limit; also set for child processes."""

    def __init__(self) -> None:
        self.limit = int(os.environ.get("FAKE_NVENC_LIMIT", "8"))
        self.status = int(os.environ.get("FAKE_NVENC_STATUS", "10"))
        self.open_sessions = 0
        self.most_open = 0
        self.options: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def open(self) -> None:
        with self._lock:
            if self.open_sessions >= self.limit:
                raise PyNvVCException(REFUSAL.format(status=self.status))
            self.open_sessions += 1
            self.most_open = max(self.most_open, self.open_sessions)

    def close(self) -> None:
        with self._lock:
            self.open_sessions -= 1


driver = Driver()


def CreateEncoder(width: int, height: int, fmt: str, usecpuinputbuffer: bool, **options: Any) -> PyNvEncoder:
    driver.options.append(options)
    driver.open()
    driver.close()
    return PyNvEncoder(width, height, fmt, usecpuinputbuffer, options)


class PyNvEncoder:
    def __init__(self, width: int, height: int, fmt: str, usecpuinputbuffer: bool, options: dict[str, Any]) -> None:
        self._session = False
        assert (fmt, usecpuinputbuffer, options["codec"]) == ("NV12", False, "h264")
        driver.open()
        self._session = True
        self._size = width, height
        self._options = DEFAULTS | {name: str(value) for name, value in options.items()}
        self._context = self._x264()
        self._frames = 0
        self._kept: deque[dict[str, Any]] = deque()

    def __del__(self) -> None:
        if self._session:
            driver.close()

    def GetSequenceParams(self) -> bytes:
        context = self._x264()
        context.flags |= Flags.global_header
        context.open()
        return bytes(context.extradata or b"")

    def Encode(self, frame: Any) -> list[dict[str, Any]]:
        width, height = self._size
        image = av.VideoFrame(width, height, "nv12")
        for target, view, shape in zip(
            planes_of(image), frame.cuda(), ((height, width, 1), (height // 2, width // 2, 2)), strict=True
        ):
            target[...] = _read(view.__cuda_array_interface__, shape).reshape(target.shape)
        image.pts, image.time_base = self._frames, Fraction(1, 1000)
        self._frames += 1
        self._keep(self._context.encode(image))
        return [self._kept.popleft() for _ in range(len(self._kept) - KEPT_BACK)]

    def EndEncode(self) -> list[dict[str, Any]]:
        self._keep(self._context.encode(None))
        rest = list(self._kept)
        self._kept.clear()
        return rest

    def _keep(self, packets: Sequence[av.Packet]) -> None:
        self._kept += [
            {"data": bytes(p), "timestamp": p.pts, "picture_type": IDR if p.is_keyframe else P} for p in packets
        ]

    def _x264(self) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = self._size
        context.pix_fmt, context.time_base = "nv12", Fraction(1, 1000)
        context.framerate = Fraction(self._options["fps"]).limit_denominator(1001)
        context.gop_size = int(self._options["gop"])
        context.max_b_frames = int(self._options["bf"])
        context.thread_count = 1
        context.options = {"preset": "veryfast", "tune": "zerolatency", "profile": "high", "crf": self._options["cq"]}
        return context


def _read(interface: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """What lies at a pointer. Like the library it wants strides spelt out, and rows without padding."""
    assert interface["typestr"] == "|u1"
    assert tuple(interface["shape"]) == shape
    assert tuple(interface["strides"]) == (shape[1] * shape[2], shape[2], 1)
    size = int(np.prod(shape))
    memory = (ctypes.c_ubyte * size).from_address(interface["data"][0])
    return np.frombuffer(memory, np.uint8).reshape(shape).copy()


class OnDevice(np.ndarray):
    """Host memory that says it is the GPU's."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "strides": None if self.flags.c_contiguous else self.strides,
            "typestr": "|u1",
            "data": (self.ctypes.data, False),
            "version": 3,
        }


def on_device(array: np.ndarray) -> OnDevice:
    return array.view(OnDevice)


def device_empty(shape: tuple[int, int]) -> OnDevice:
    return on_device(np.empty(shape, np.uint8))
