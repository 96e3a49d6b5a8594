"""The check of the backend at the service's start."""

from __future__ import annotations

import pytest

from daemon.worker import backend_check
from daemon.worker.protocol import GPU, BackendReady, decode, encode
from daemon.worker.subprocess_call import AnsweredError, ChildFailedError
from engines import registry
from engines.compute_class import ComputeClass
from engines.nvenc_sessions import SessionProbe
from engines.settings import DeviceSettings

GIB = 2**30
CLASS = backend_check._class_name(ComputeClass(backend="cpu").to_json())
COUNTED = SessionProbe(3, "NVENC returned error 10", 10)


def test_gpus_that_do_not_open_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(device: DeviceSettings) -> BackendReady:
        if device.index == 1:
            raise ChildFailedError("GPU 1 has fallen off the bus")
        return BackendReady(f"cuda:{device.index}", (), (GPU(device.gpu, GIB),))

    monkeypatch.setattr(backend_check, "_open_in_subprocess", opened)
    ready = backend_check._open(DeviceSettings(backend="cuda", index=(0, 1, 2)))
    assert ready == BackendReady("cuda:0, cuda:2", ("GPU 1 has fallen off the bus",), (GPU(0, GIB), GPU(2, GIB)))
    with pytest.raises(ChildFailedError, match="off the bus"):
        backend_check._open(DeviceSettings(backend="cuda", index=(1,)))


def test_each_of_several_gpus_is_opened_in_a_process_of_its_own() -> None:
    """With real processes: without a GPU, each answers that the work runs on the CPU, and why."""
    ready = backend_check._open(DeviceSettings(backend="auto", index=(62, 63)))
    assert (ready.device, ready.gpus) == ("cpu", ())
    assert all("CUDA is not used" in note for note in ready.notes)
    with pytest.raises(AnsweredError, match="CUDA is set as the device"):
        backend_check._open(DeviceSettings(backend="cuda", index=(62, 63)))


class Opened:
    """A backend that opens, on a GPU or not."""

    notes = ()
    compute_class = ComputeClass(backend="cpu")

    def __init__(self, device: str, free_bytes: int | None) -> None:
        self.device, self._room_bytes = device, free_bytes

    def free_bytes(self) -> int | None:
        return self._room_bytes

    def detector(self) -> Opened:
        return self

    embedder = detector

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("opened", "settings", "gpus"),
    [
        (Opened("cuda:0", GIB), {}, (GPU(0, GIB, COUNTED, CLASS),)),
        (Opened("cuda:0", GIB), {"nvenc_max_sessions": 0}, (GPU(0, GIB, None, CLASS),)),
        (Opened("cpu", None), {}, ()),
    ],
)
def test_encoder_sessions_are_counted_on_a_gpu_only(
    monkeypatch: pytest.MonkeyPatch, opened: Opened, settings: dict[str, int], gpus: tuple[GPU, ...]
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(registry, "open_backend", lambda _: opened)
    monkeypatch.setattr(backend_check, "probe_sessions", lambda index: asked.append(index) or COUNTED)
    ready = backend_check._open(DeviceSettings.model_validate(settings))
    assert ready.gpus == gpus
    assert ready.compute_class == ("" if gpus else CLASS)
    assert len(asked) == sum(gpu.nvenc is not None for gpu in gpus)


def test_gpus_arrive_as_they_were_sent() -> None:
    gpus = GPU(0, 5, COUNTED), GPU(1, 7)
    ready = BackendReady("cuda:0, cuda:1", (), gpus)
    assert decode(encode(ready)) == ready
