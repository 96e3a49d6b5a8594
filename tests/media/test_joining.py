"""Parts of one recording: recognised by their time stamps, joined without losing a packet, in sync at every joint."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from daemon.cli.process.items import plan
from daemon.config.settings import Settings
from engines.media.joining import PartsDifferError, join
from engines.media.probe import probe
from engines.media.split_recording import follows
from engines.media_warnings import MediaWarning
from pipeline.errors import DiskFullError, JobStopped
from pipeline.interruption import UNINTERRUPTED, Interruption
from pipeline.job import JobSpec
from pipeline.joining import join_parts, with_warnings_of_parts
from tests.support.chapters import cut, split_bytes
from tests.support.synth import Audio, Clip, number_in

FPS = Fraction(30000, 1001)
PART_S = 24 / FPS  # two groups of frames
AUDIO = Audio(beeps_s=(0.2, 0.7, 1.5, 2.0), length_s=2.4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(frames=72, fps=FPS, options={"g": "12", "sc_threshold": "0"}, audio=[AUDIO], rotation=90)
    return clip.write(tmp_path_factory.mktemp("whole") / "whole.mp4")


@pytest.fixture
def parts(whole: Path, tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"GX0{number}0123.MP4" for number in (1, 2, 3)]
    cut(whole, paths, PART_S)
    return paths


def packets(path: Path, kind: str) -> list[tuple[float, str]]:
    """Presentation time and digest of each."""
    with av.open(str(path)) as source:
        found = [p for p in source.demux(source.streams.best(kind)) if p.size]
        return [(float(p.pts * p.time_base), hashlib.md5(bytes(p)).hexdigest()) for p in found]


def joined_file(parts: list[Path], target: Path) -> Path:
    with target.open("wb") as file:
        join(parts, file, lambda _: None)
    return target


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_no_packet_is_lost_or_moved_at_a_joint(kind: str, whole: Path, parts: list[Path], tmp_path: Path) -> None:
    found = packets(joined_file(parts, tmp_path / "joined"), kind)
    wanted = packets(whole, kind)
    assert [digest for _, digest in found] == [digest for _, digest in wanted]
    assert max(abs(at - same) for (at, _), (same, _) in zip(found, wanted, strict=True)) < 0.002


def test_the_joined_recording_shows_every_frame_once_and_keeps_its_rotation(
    whole: Path, parts: list[Path], tmp_path: Path
) -> None:
    path = joined_file(parts, tmp_path / "joined")
    with av.open(str(path)) as source:
        numbers = [number_in(frame.to_ndarray(format="gray")) for frame in source.decode(video=0)]
    assert numbers == list(range(72))
    assert probe(path).video.rotation_deg == probe(whole).video.rotation_deg
    assert probe(path).video.fps == probe(whole).video.fps
    with av.open(str(path)) as source:
        assert source.metadata["creation_time"] == "2026-01-02T03:04:05.000000Z"


def test_the_same_parts_give_the_same_bytes(parts: list[Path], tmp_path: Path) -> None:
    one, other = (joined_file(parts, tmp_path / name).read_bytes() for name in ("one", "other"))
    assert one == other


def test_uncompressed_audio_is_joined(tmp_path: Path) -> None:
    whole = Clip(frames=48, audio=[Audio("pcm_s16le", beeps_s=(0.7,), length_s=1.6)]).write(tmp_path / "whole.mov")
    parts = [tmp_path / "C0001.MOV", tmp_path / "C0002.MOV"]
    cut(whole, parts, 0.8, container="mov")
    audio = [b"".join(decoded_audio(path)) for path in (joined_file(parts, tmp_path / "joined"), whole)]
    assert audio[0] == audio[1]


def decoded_audio(path: Path) -> list[bytes]:
    with av.open(str(path)) as source:
        return [frame.to_ndarray().tobytes() for frame in source.decode(audio=0)]


def test_mpeg_streams_are_joined_as_bytes_even_in_the_middle_of_a_frame(tmp_path: Path) -> None:
    whole = Clip(frames=60, audio=[AUDIO]).write(tmp_path / "whole.ts")
    parts = [tmp_path / f"0000{number}.MTS" for number in range(3)]
    split_bytes(whole, parts)
    assert all(follows(a, b, certain_names=False) for a, b in pairwise(parts))
    assert not follows(parts[0], parts[2], certain_names=False)
    assert not follows(parts[1], parts[0], certain_names=False)
    assert joined_file(parts, tmp_path / "joined").read_bytes() == whole.read_bytes()
    other = shutil.copy(whole, tmp_path / "other.ts")
    assert not follows(whole, Path(other), certain_names=True)


@pytest.mark.parametrize(
    ("gap_s", "dated", "certain_names", "expected"),
    [
        (0, True, False, True),
        (0, True, True, True),
        (40, True, False, False),
        (40, True, True, False),
        (-PART_S, True, True, True),  # GoPro: every chapter has the creation time of the first
        (0, False, True, True),  # nothing denies what the names say
        (0, False, False, False),  # nothing confirms numbers that count on
    ],
)
def test_time_stamps_decide(
    gap_s: float, dated: bool, certain_names: bool, expected: bool, whole: Path, tmp_path: Path
) -> None:
    parts = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    cut(whole, parts, PART_S, gap_s=float(gap_s), dated=dated)
    assert follows(*parts, certain_names=certain_names) is expected


@pytest.mark.parametrize(
    "other",
    [
        Clip(frames=24, width=160, height=90, audio=[AUDIO]),
        Clip(frames=24),
        Clip(frames=24, audio=[Audio(layout="mono", length_s=0.8)]),
    ],
)
def test_parts_of_other_parameters_are_not_joined(other: Clip, whole: Path, tmp_path: Path) -> None:
    path = other.write(tmp_path / "other.mp4")
    assert not follows(whole, path, certain_names=True)


def test_an_unreadable_file_follows_nothing(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(whole.read_bytes()[:3000])
    assert not follows(whole, tmp_path / "b.mp4", certain_names=True)


def test_a_part_without_the_same_streams_is_an_explained_error(whole: Path, tmp_path: Path) -> None:
    silent = Clip(frames=24).write(tmp_path / "silent.mp4")
    with pytest.raises(PartsDifferError):
        join([whole, silent], io.BytesIO(), lambda _: None)


def order(parts: list[Path], work_dir: Path) -> JobSpec:
    work_dir.mkdir()
    return JobSpec("job", parts[0], "GX010123.MP4", work_dir, parts=tuple(parts[1:]), part_names=("b", "c"))


def test_a_job_joins_its_parts_once(parts: list[Path], tmp_path: Path) -> None:
    spec = order(parts, tmp_path / "work")
    shares: list[float] = []
    first = join_parts(spec, shares.append, UNINTERRUPTED)
    assert first.source == spec.paths.joined
    assert shares
    before = first.source.stat()
    assert join_parts(spec, shares.append, UNINTERRUPTED).source.stat() == before


def test_a_job_that_is_stopped_or_lacks_room_leaves_no_partial_file(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = order(parts, tmp_path / "work")
    with pytest.raises(JobStopped):
        join_parts(spec, lambda _: None, Interruption(lambda: True))
    assert list(spec.work_dir.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(DiskFullError, match="0 MiB free, 64 MiB needed"):
        join_parts(spec, lambda _: None, UNINTERRUPTED)


def test_dropped_streams_of_the_parts_are_named(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = order(parts, tmp_path / "work")
    info = probe(parts[0])
    gps = MediaWarning("DATA_DROPPED", 3, None, None, "GPS is left behind.", "GPS가 빠집니다.")
    monkeypatch.setattr("pipeline.joining.probe", lambda *_, **__: replace(info, warnings=(gps,)))
    assert with_warnings_of_parts(info, spec).warnings == (*info.warnings, gps)
    assert with_warnings_of_parts(info, replace(spec, parts=())) is info


def test_the_command_joins_the_parts_among_its_files(parts: list[Path], whole: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(whole, tmp_path / "interview.mp4"))
    items = plan([parts[2], other, *parts[:2]], tmp_path / "out", Settings(), "default", debug_overlay=False)
    assert [[item.source, *item.spec.parts] for item in items] == [[other], parts]
    apart = Settings.model_validate({"profiles": {"default": {"join": "never"}}})
    items = plan(parts, tmp_path / "out", apart, "default", debug_overlay=False)
    assert [(item.source, item.spec.parts) for item in items] == [(part, ()) for part in parts]


def test_audio_is_in_sync_after_every_joint_of_separately_encoded_parts(tmp_path: Path) -> None:
    """Each part has an encoder delay of its own; its audio is 1.6 ms shorter than its video."""
    audio = Audio(beeps_s=(0.1, 1.4), length_s=1.6)
    parts = [Clip(frames=48, fps=FPS, audio=[audio]).write(tmp_path / f"GX0{n}0001.MP4") for n in (1, 2, 3)]
    wanted = [number * float(48 / FPS) + beep for number in range(3) for beep in audio.beeps_s]
    found = beeps(joined_file(parts, tmp_path / "joined"))
    assert found == pytest.approx(wanted, abs=0.002)


def beeps(path: Path) -> list[float]:
    """Presentation times at which a beep begins."""
    begins, quiet_since = list[float](), -1.0
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2)
            times = float(frame.pts * frame.time_base) + loud / frame.sample_rate
            for at in times:
                if at - quiet_since > 0.2:
                    begins.append(float(at))
                quiet_since = at
    return begins
