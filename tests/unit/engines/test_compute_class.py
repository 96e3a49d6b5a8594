"""The content of a compute class, and the differences between two of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import cv2
import orjson
import pytest

from engines import versions
from engines.compute_class import ComputeClass, cpu_features, host_class, opencv_features

ON_GPU = ComputeClass(
    backend="cuda",
    machine="x86_64",
    cpu_features="avx avx2 sse",
    opencv_features="AVX SSE",
    blas="Haswell",
    gpu="NVIDIA L4",
    generation="sm89",
    inference="tensorrt-rtx-fp16, tensorrt-rtx-fp16",
    versions={"av": "18.1.0", "nvidia-driver": "580.65"},
)

X86 = """\
processor\t: 0
model name\t: AMD EPYC
flags\t\t: fpu vme sse sse2 ssse3 smep avx2 fma avx512f umip lahf_lm
bugs\t\t: sysret_ss_attrs

processor\t: 1
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes crc32 asimddp sve i8mm\nCPU part\t: 0xd40\n"


def test_cpu_features_are_the_instruction_sets_for_computing() -> None:
    assert cpu_features(X86) == "avx2 avx512f fma sse sse2 ssse3"
    assert cpu_features(ARM) == "asimd asimddp i8mm sve"
    assert cpu_features("") == ""


def test_what_opencv_was_told_to_leave_out_is_left_out() -> None:
    assert opencv_features("SSE SSE2 *SSE4.1 *AVX2? *AVX512-SKX?") == "SSE SSE2 SSE4.1"


@pytest.mark.skipif("AVX2" not in cv2.getCPUFeaturesLine().replace("AVX2?", ""), reason="no AVX2 to be left out")
def test_opencv_without_avx2_is_another_class() -> None:
    script = "import orjson, sys; from engines.compute_class import host_class as c; print(orjson.dumps(c()).decode())"
    environment = {**os.environ, "OPENCV_CPU_DISABLE": "AVX2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    without = ComputeClass.from_json(orjson.loads(done.stdout))
    assert without.differences(host_class()) == ["CPU features that OpenCV uses: AVX2"]


def test_the_host_says_what_it_is() -> None:
    host = host_class()
    assert (host.backend, host.gpu, host.inference) == ("cpu", "", "")
    assert host.cpu_features
    assert {"dualface", "av", "ffmpeg", "numpy", "onnxruntime", "python", "libc"} <= host.versions.keys()
    assert "missing" not in host.versions.values()
    assert host.differences(host) == []


@pytest.mark.parametrize("name", [each.name for each in fields(ComputeClass)])
def test_a_change_of_any_field_is_a_difference_that_is_named(name: str) -> None:
    other = {"av": "18.2.0", "nvidia-driver": "580.65"} if name == "versions" else "other"
    (difference,) = replace(ON_GPU, **{name: other}).differences(ON_GPU)
    assert "other" in difference or difference == "av: 18.2.0 instead of 18.1.0"


def test_differences_in_words() -> None:
    now = replace(
        ON_GPU, cpu_features="avx avx2 avx512f sse", gpu="", versions={"av": "18.1.0", "cupy-cuda13x": "14.2.0"}
    )
    assert now.differences(ON_GPU) == [
        "GPU: none instead of NVIDIA L4",
        "CPU features: avx512f",
        "cupy-cuda13x: 14.2.0 instead of none",
        "nvidia-driver: none instead of 580.65",
    ]


def test_a_class_survives_the_checkpoint_and_other_versions_of_the_program() -> None:
    kept = orjson.loads(orjson.dumps(ON_GPU.to_json()))
    assert ComputeClass.from_json(kept) == ON_GPU
    assert ComputeClass.from_json(kept | {"gone": 1}) == ON_GPU
    assert ON_GPU.differences(ComputeClass.from_json({}))


def test_a_gpu_adds_its_generation_its_libraries_and_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX Open Kernel Module  580.159.04  Release Build\n")
    monkeypatch.setattr(versions, "_DRIVER", tmp_path / "version")
    found = host_class().on_gpu("NVIDIA H200", "sm90", "13000").with_inference("onnxruntime-cuda", "none")
    assert (found.backend, found.gpu, found.generation) == ("cuda", "NVIDIA H200", "sm90")
    assert found.inference == "onnxruntime-cuda, none"
    assert (found.versions["nvidia-driver"], found.versions["cuda-driver"]) == ("580.159.04", "13000")
    assert found.versions.items() >= host_class().versions.items()


def test_a_host_without_a_driver_says_nothing_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_DRIVER", tmp_path / "version")
    assert "nvidia-driver" not in versions.gpu_versions()
