"""Whole jobs on parts of a recording: the result is, packet for packet, that of one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.corrections import parse
from pipeline.errors import JobStopped
from pipeline.job import JobSpec
from pipeline.splitting.orders import TABLE, Answer, PartFailed, SegmentsRendered, TableWritten, WorkerLeft
from pipeline.splitting.table import DetectionTable
from tests.support.chapters import cut
from tests.support.damage import spoil, zeroed
from tests.support.drawn.looks import Look
from tests.support.drawn.scenes import Drawing, Shot, eased, moving, seated
from tests.support.edit_lists import Cut, set_edits
from tests.support.recordings import image, still, walk, write_recording
from tests.support.splitting import FPS, OPEN_GOP, QUICK, Done, assert_same, compare, job, run, without_cues, write_film
from tests.support.synth import Clip, joined
from tests.support.thread_crew import ThreadCrew
from tests.support.tone_reference import X265
from tests.support.turned_heads import Person, turns_away
from tests.support.turned_heads import draw as draw_turning

LOOKS = {"A": Look(0.0, -0.8), "B": Look(1.0, 0.4, "hopper")}
Image = NDArray[np.uint8]


def two_shot(seconds: float, room: int) -> Shot:
    return Shot(seconds, room, {"A": seated(0.28, seed=1), "B": seated(0.72, seed=2)})


def crossing(seconds: float, room: int) -> Shot:
    """They change places in the middle."""

    def share(t: float) -> float:
        return eased(0, 1, (t - 0.8) / 1.2)

    front = moving(lambda t: (0.25 + 0.5 * share(t), 0.42, 0.26), seed=1)
    behind = moving(lambda t: (0.75 - 0.5 * share(t), 0.4, 0.23), seed=2)
    return Shot(seconds, room, {"B": behind, "A": front})


def cuts_and_a_crossing() -> Iterator[Image]:
    shots = [two_shot(1.4, 3), Shot(1.0, 4, {"A": seated(0.5, 0.45, 0.36, seed=3)}), crossing(2.6, 5), two_shot(1, 6)]
    return Drawing(shots, LOOKS, fps=FPS).frames()


def somebody_turns_away() -> Iterator[Image]:
    people = [Person(still(0.28)), Person(still(0.72), turns_away, begin=1.2, end=3.4)]
    return (draw_turning(n / 30, people) for n in range(126))


def meeting() -> Iterator[Image]:
    """Two panels side by side with a black gap between them."""
    for n in range(5 * FPS):
        t = n / FPS
        panels = [image(t, (still(0.5), None), 304, 352), image(t, (None, still(0.5)), 304, 352)]
        frame = np.zeros((360, 640, 3), np.uint8)
        frame[4:356, 4:308], frame[4:356, 332:636] = panels[0], cv2.flip(panels[1], 1)
        yield frame


def uneven_times(count: int) -> list[int]:
    """Milliseconds: steps of up to 200, some too short to be shown, and two jumps, one of them over two segments."""
    rng = np.random.default_rng(4)
    steps = rng.integers(30, 200, count)
    steps[4::9] = 5
    times = np.cumsum(steps)
    return [int(t) + 700 * (t > 3200) + 2500 * (t > 4000) for t in times - times[0]]


def late_second_person(path: Path) -> Path:
    return write_recording(path, seconds=5, fps=FPS, people=(still(0.28), walk(2.0, 0.5, 3.5)))


def open_gop_with_uneven_times(path: Path) -> Path:
    drawing = Drawing([two_shot(2, 3), crossing(3, 5)], LOOKS, fps=FPS)
    return write_film(path, drawing.frames(), pts=uneven_times(drawing.count), options=OPEN_GOP)


def changing_size(path: Path) -> Path:
    """640x360, then 480x360, each with both people."""
    sizes = {"a.ts": (640, 360), "b.ts": (480, 360)}
    parts = [
        write_recording(path.with_name(name), seconds=2.5, fps=FPS, size=size, audio_track=False)
        for name, size in sizes.items()
    ]
    return joined(path, parts)


FILMS: dict[str, Callable[[Path], Path]] = {
    "cuts and a crossing": lambda path: write_film(path, cuts_and_a_crossing(), options=OPEN_GOP),
    "somebody turns away": lambda path: write_film(path, somebody_turns_away(), fps=30),
    "a meeting": lambda path: write_film(path, meeting()),
    "late second person": late_second_person,
    "open GOP and uneven times": open_gop_with_uneven_times,
    "changing size": changing_size,
}


def sources(done: Done) -> set[str]:
    return {row[side]["source"] for row in done.rows for side in ("left", "right")}


def faces_left_x(done: Done, t: float) -> float:
    """Where the face of the left tile is in the source."""
    return next(float(row["left"]["face"][0]) for row in done.rows if row["t"] >= t)


def shows_both_panels(done: Done) -> bool:
    """No crop crosses the gap."""
    return all(row[side]["crop"][0] > 320 or sum(row[side]["crop"][::2]) < 320 for row in done.rows for side in row
               if side in ("left", "right"))  # fmt: skip


HOLDS: dict[str, Callable[[Done], object]] = {  # what each film is drawn for
    "cuts and a crossing": lambda done: faces_left_x(done, 3.0) < 320 < faces_left_x(done, 4.6),
    "somebody turns away": lambda done: "head" in sources(done),
    "a meeting": shows_both_panels,
    "late second person": lambda done: done.rows[0]["right"]["source"] == "frozen",
    "open GOP and uneven times": lambda done: done.report["input"]["video"]["vfr"] and len(done.rows) < 5 * FPS,
    "changing size": lambda done: [480, 360] in [row.get("picture") for row in done.rows],
}


def plain(path: Path, seconds: float = 4, **fields: Any) -> Path:
    """Two people who sit and talk, and cross at the end."""
    return write_film(path, Drawing([two_shot(seconds - 2, 3), crossing(2, 3)], LOOKS, fps=FPS).frames(), **fields)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six segments."""
    return plain(tmp_path_factory.mktemp("film") / "film.mp4", 6, options=OPEN_GOP)


@pytest.fixture(scope="module")
def whole(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """What one worker makes of it."""
    return run(job(film, tmp_path_factory.mktemp("whole") / "work"))


@pytest.mark.parametrize("name", FILMS)
def test_parts_give_the_same_packets(name: str, tmp_path: Path) -> None:
    source = FILMS[name](tmp_path / "film.mkv")
    split = compare(source, tmp_path, workers=2)
    assert split.note() == ""
    assert split.report["timing"]["workers"] == 2
    assert HOLDS[name](split)


def test_three_workers_give_the_same(film: Path, whole: Done, tmp_path: Path) -> None:
    done = run(job(film, tmp_path / "work"), 3)
    assert_same(done, whole)
    assert {worker for worker, _ in done.crews[0].given} == {"worker 0", "worker 1", "worker 2"}


def test_other_segments_give_the_same(film: Path, tmp_path: Path) -> None:
    split = compare(film, tmp_path, segment_s=1.3)
    assert len({order.part for _, order in split.crews[0].given}) == 2


def test_kept_hdr_gives_the_same(tmp_path: Path) -> None:
    hlg = Clip(
        frames=15, fps=Fraction(3), codec="libx265", pix_fmt="yuv420p10le", options=X265, color=(9, 18, 9, 1)
    ).write(tmp_path / "hlg.mkv")  # fmt: skip
    split = compare(hlg, tmp_path, profile=QUICK.model_copy(update={"hdr": "keep"}))
    assert split.report["output"]["video"]["codec"] == "hevc"
    assert split.note() == ""


def test_corrections_give_the_same(film: Path, whole: Done, tmp_path: Path) -> None:
    text = "swap_spans: [{from: 1.2, to: 3.4}]\npins: [{tile: right, from: 4, to: 5, crop: [0, 0, 320, 360]}]"
    split = compare(film, tmp_path, corrections=parse(text))
    assert split.rows[2 * FPS]["left"] == whole.rows[2 * FPS]["right"]
    assert split.rows[int(4.5 * FPS)]["right"]["crop"] == [0, 0, 320, 360]


def until_a_segment_is_done(spec: JobSpec) -> Callable[[], bool]:
    """Return a request for a stop once there is a checkpoint that is newer than now."""
    before = spec.paths.checkpoint.stat().st_mtime_ns if spec.paths.checkpoint.exists() else 0
    return lambda: spec.paths.checkpoint.exists() and spec.paths.checkpoint.stat().st_mtime_ns > before


@pytest.mark.parametrize("workers", [(2, 0), (0, 2), (2, 3)])
def test_a_stopped_job_goes_on_in_the_other_way(
    film: Path, whole: Done, tmp_path: Path, workers: tuple[int, int]
) -> None:
    spec = job(film, tmp_path / "work")
    first, second = workers
    with pytest.raises(JobStopped):
        run(spec, first, should_stop=until_a_segment_is_done(spec))
    assert not spec.paths.parts.exists()
    done = run(spec, second)
    assert_same(done, whole)
    (resumed_at_s,) = done.report["resilience"]["resumed_at_s"]
    assert 0 < resumed_at_s < 6


def test_what_a_table_lacks_is_decoded_again(
    film: Path, whole: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Correctness never depends on a guess of what will be asked."""
    write = DetectionTable.write

    def write_hardly_anything(table: DetectionTable, path: Path) -> str:
        for kept in (table.faces, table.luma, table.chips, table.thumbnails):
            kept.clear()
        return write(table, path)

    monkeypatch.setattr(DetectionTable, "write", write_hardly_anything)
    assert_same(run(job(film, tmp_path / "work"), 2), whole)


def test_progress_rises_and_ends_with_all_frames(film: Path, tmp_path: Path) -> None:
    done = run(job(film, tmp_path / "work"), 2)
    rendering = [progress for progress in done.log if progress.stage == "render"]
    for value in ("frames_done", "seconds_done", "percent"):
        seen = [getattr(progress, value) for progress in rendering]
        assert seen == sorted(seen)
    assert rendering[-1].frames_done == 6 * FPS
    assert rendering[-1].seconds_done == pytest.approx(6, abs=0.01)
    steady = [progress for progress in rendering if progress.realtime and progress.frames_done > 2 * FPS]
    paces = [progress.realtime * FPS / progress.fps for progress in steady]
    assert paces == pytest.approx([1.0] * len(paces), abs=0.05), "time left would jump"


# -- trouble with workers


class TroubledCrew(ThreadCrew):
    """Does something to the answers of its workers."""

    def __init__(self, spec: JobSpec, count: int, trouble: Callable[[str, Answer], Answer]) -> None:
        super().__init__(spec, count)
        self._trouble = trouble

    def answer(self, timeout_s: float) -> tuple[str, Answer] | None:
        answered = super().answer(timeout_s)
        if answered is None:
            return None
        worker, answer = answered
        answer = self._trouble(worker, answer)
        if isinstance(answer, WorkerLeft):
            self.lose(worker)
        return worker, answer


def once(kind: type[Answer], change: Callable[[Any], Answer]) -> Callable[[str, Answer], Answer]:
    """Change the first answer of a kind."""
    waiting = [kind]

    def trouble(_worker: str, answer: Answer) -> Answer:
        return change(answer) if waiting and isinstance(answer, waiting[0]) and waiting.pop() else answer

    return trouble


TROUBLE: dict[str, Callable[[JobSpec], Callable[[str, Answer], Answer]]] = {
    "a worker leaves while it detects": lambda _: once(TableWritten, lambda _: WorkerLeft("killed")),
    "a worker leaves while it renders": lambda _: once(SegmentsRendered, lambda _: WorkerLeft("killed")),
    "an order fails": lambda _: once(SegmentsRendered, lambda answer: PartFailed(answer.folder, "no memory")),
    "a table is damaged": lambda spec: once(TableWritten, lambda answer: spoilt(spec, answer)),
}


def spoilt(spec: JobSpec, answer: TableWritten) -> TableWritten:
    """A bit of the table's file has changed since it was written."""
    path = spec.paths.parts / answer.folder / TABLE
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return answer


@pytest.mark.parametrize("name", TROUBLE)
def test_a_worker_in_trouble_changes_nothing(name: str, film: Path, whole: Done, tmp_path: Path) -> None:
    spec = job(film, tmp_path / "work")
    done = run(spec, crew=lambda: TroubledCrew(spec, 2, TROUBLE[name](spec)))
    assert_same(done, whole)
    assert done.note() == ""


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (lambda _, answer: PartFailed(answer.folder, "no luck") if isinstance(answer, SegmentsRendered) else answer,
         "no luck"),
        (lambda _, answer: replace(answer, encoder="another") if isinstance(answer, SegmentsRendered) else answer,
         "workers encode in different ways"),
        (lambda _, answer: replace(answer, records=answer.records[1:]) if isinstance(answer, SegmentsRendered)
         else answer, "a part has other segments than were decided"),
    ],
)  # fmt: skip
def test_parts_that_cannot_be_used_are_rendered_by_one(
    trouble: Callable[[str, Answer], Answer], reason: str, film: Path, whole: Done, tmp_path: Path
) -> None:
    spec = job(film, tmp_path / "work")
    calls = count()

    def later(worker: str, answer: Answer) -> Answer:
        """The first part is in order."""
        return trouble(worker, answer) if not isinstance(answer, SegmentsRendered) or next(calls) else answer

    done = run(spec, crew=lambda: TroubledCrew(spec, 2, later))
    assert_same(done, whole)
    assert reason in done.note()


# -- which files are split


def edited(path: Path) -> Path:
    cuts = [Cut(1.3, 2.6), Cut(1.1, 0.3), Cut(0.9, 1.2), Cut(0.8, None), Cut(1.0, 0.5)]
    return set_edits(plain(path.with_suffix(".mp4")), cuts)


EXACT: dict[str, Callable[[Path], Path]] = {
    "Matroska without an index": lambda path: without_cues(plain(path.with_suffix(".mkv"))),
    "fragmented MP4": lambda path: plain(
        path.with_suffix(".mp4"), container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    ),
    "edit list": edited,
    "WebM": lambda path: Clip(
        width=320, frames=32, fps=Fraction(FPS), codec="libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8", "g": "12", "auto-alt-ref": "1", "lag-in-frames": "8"},
    ).write(path.with_suffix(".webm")),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_files_with_exact_times_are_split(name: str, tmp_path: Path) -> None:
    split = compare(EXACT[name](tmp_path / "film"), tmp_path)
    assert split.note() == ""
    assert split.crews


def test_a_joined_series_is_split(tmp_path: Path) -> None:
    source = write_recording(tmp_path / "all.mp4", seconds=6, fps=FPS)
    parts = [tmp_path / f"GX0{number}0123.MP4" for number in (1, 2)]
    cut(source, parts, 3)
    split = compare(parts[0], tmp_path, parts=(parts[1],), part_names=(parts[1].name,))
    assert len(split.rows) == 6 * FPS
    assert split.note() == ""


def damaged(path: Path) -> Path:
    spoil(plain(path.with_suffix(".mkv"), options={"g": "12"}), range(20, 24), zeroed)
    return path.with_suffix(".mkv")


def truncated(path: Path) -> Path:
    data = plain(path.with_suffix(".mkv")).read_bytes()
    path.with_suffix(".mkv").write_bytes(data[: len(data) * 3 // 4])
    return path.with_suffix(".mkv")


WHOLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "AVI": (lambda path: plain(path.with_suffix(".avi")), "cannot be cut exactly"),
    "damaged": (damaged, "cannot be decoded"),
    "truncated": (truncated, "end is missing"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_other_files_are_worked_on_by_one_and_the_report_says_why(name: str, tmp_path: Path) -> None:
    make, reason = WHOLE[name]
    split = compare(make(tmp_path / "film"), tmp_path)
    assert reason in split.note()
    assert len(split.crews) == (name != "AVI")
