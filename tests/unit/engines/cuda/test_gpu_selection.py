"""Which GPUs settings name, and what a process sees of them."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from engines.cuda.gpu_selection import named_gpus, see_only
from engines.errors import DeviceUnavailableError
from engines.settings import DeviceSettings


def test_index_may_be_a_number_a_list_or_auto() -> None:
    assert [DeviceSettings.model_validate({"index": index}).gpu for index in (3, [2, 5], "auto")] == [3, 2, 0]
    assert DeviceSettings.model_validate({"index": [2, 5]}).on_gpu(5).index == 5
    for wrong in (-1, 64, [], [0, 99], "all"):
        with pytest.raises(ValidationError):
            DeviceSettings.model_validate({"index": wrong})


def test_cuda_counts_the_gpus_only_for_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(getDeviceCount=lambda: 3)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert named_gpus(DeviceSettings(index="auto")) == (0, 1, 2)
    runtime.getDeviceCount = lambda: pytest.fail("it counted")
    assert [named_gpus(DeviceSettings(index=index)) for index in (2, (1, 4), (3, 3))] == [(2,), (1, 4), (3,)]
    assert named_gpus(DeviceSettings(index="auto", backend="cpu")) == (0,)


@pytest.mark.parametrize("count", [lambda: 0, lambda: 1 // 0])
def test_without_gpus_number_0_is_opened_which_says_why(monkeypatch: pytest.MonkeyPatch, count) -> None:
    runtime = SimpleNamespace(getDeviceCount=count)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert named_gpus(DeviceSettings(index="auto")) == (0,)


SEES = """
import os, sys
from engines.cuda.gpu_selection import settings_number, see_only
from engines.settings import DeviceSettings
device = see_only(DeviceSettings(index=int(sys.argv[1])))
print(device.gpu, settings_number(device.gpu), os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@pytest.mark.parametrize(
    ("index", "visible", "seen"),
    [(0, "", "0 0 "), (1, "", "0 1 1"), (1, "4,6", "0 1 6"), (0, "4,6", "0 0 4,6"), (1, "GPU-aa,GPU-bb", "0 1 GPU-bb")],
)
def test_a_worker_sees_its_gpu_alone_under_the_number_that_people_know(index: int, visible: str, seen: str) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SEES, str(index)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip("\n") == seen


def test_a_gpu_that_the_environment_hides_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(DeviceUnavailableError, match="no CUDA device 1"):
        see_only(DeviceSettings(index=1))
