"""What people, desktops and copy programs leave in an inbox, through the real service."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from tests.support.recordings import write_recording
from tests.support.service import Service, outputs

KOREAN = "인터뷰"
DECOMPOSED = unicodedata.normalize("NFD", KOREAN)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return write_recording(path, seconds=0.6, fps=10, size=(160, 120)).read_bytes()


def waits(service: Service) -> dict[str, dict[str, str]]:
    return {job["file"]: job for job in service.status().get("waiting", [])}


def test_a_stalled_copy_waits_until_it_goes_on(make_service, clip: bytes) -> None:
    service = make_service(settle={"unfinished_s": 3600})
    path = service.inbox("card/x.mp4")
    path.write_bytes(clip[: len(clip) // 2])
    os.truncate(path, len(clip))
    service.start()
    service.wait_for(lambda: "inbox/card/x.mp4" in waits(service), "the reason")
    wait = waits(service)["inbox/card/x.mp4"]
    assert (wait["code"], bool(wait["since"])) == ("COPY_STALLED", True)
    service.wait_for(lambda: f'datetime="{wait["since"]}"' in service.page(), "the page that says since when")
    assert service.jobs() == []
    path.write_bytes(clip)
    service.wait_for(lambda: service.files("originals") == {"card/x.mp4"}, "the delivery")
    assert service.report("outbox/card/x.dual.report.json")["input"]["bytes"] == len(clip)


def test_sidecars_that_nearly_are_one_are_used_or_refused_and_outputs_are_nfc(
    service: Service, clip: bytes, tmp_path: Path
) -> None:
    used = {"a": "a.dualface.yml", "b": "B.DualFace.YAML.txt", "c": "c.mp4.dualface.yaml"}
    refused = {"r": "r.dualface.yaml.rtf", "t": "t.dualface.yaml"}
    for stem, name in (used | refused).items():
        service.inbox(name).write_text("swap: true\n")
        service.inbox(f"{stem}.mp4").write_bytes(clip)
    service.inbox(refused["r"]).write_text("{\\rtf1 swap: true}")
    service.inbox(refused["t"]).write_text("swap: true\nswap: false\n")
    service.inbox("d.mp4").write_bytes(clip)
    service.inbox("d.dualface.yaml").mkdir()
    service.inbox("l.mp4").write_bytes(clip)
    service.inbox("l.dualface.yaml").symlink_to(tmp_path / "nowhere")
    service.inbox(f"{KOREAN}.mp4").write_bytes(clip)
    service.inbox(f"{DECOMPOSED}.mp4").write_bytes(clip)
    service.inbox(f"{DECOMPOSED}/{DECOMPOSED}.mp4").write_bytes(clip)
    kept = {f"{KOREAN}.mp4", f"{DECOMPOSED}.mp4", f"{DECOMPOSED}/{DECOMPOSED}.mp4"}
    service.start()
    ends = {f"failed/{stem}.report.json" for stem in (*refused, "d", "l")} | {f"originals/{name}" for name in kept}
    ends |= {f"originals/{stem}.mp4" for stem in used}
    service.wait_for(lambda: all(map(service.exists, ends)), "all of them")
    assert service.files("originals") == kept | {f"{stem}{end}" for stem in used for end in (".mp4", ".dualface.yaml")}
    korean = {name for name in service.files("outbox") if not name.isascii()}
    assert korean == {*outputs(KOREAN), *outputs(KOREAN, 2), *outputs(f"{KOREAN}/{KOREAN}")}
    errors = {stem: service.report(f"failed/{stem}.report.json")["error"] for stem in "rtdl"}
    assert {error["code"] for error in errors.values()} == {"SIDECAR_INVALID"}
    expected = {"r": "r.dualface.yaml.rtf is rich text", "t": "line 2", "d": "is a folder", "l": "is a link"}
    assert [stem for stem, words in expected.items() if words not in errors[stem]["message"]] == []
    assert service.inbox("d.dualface.yaml").is_dir()
