"""Which card does which job, and what the service says to workers and people about it."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon import opening
from daemon.child import AnsweredError, ChildFailedError
from daemon.jobs import Manifest
from daemon.messages import Ready, decode, encode
from daemon.orders import work_order
from daemon.placement import Card, has_room, jobs_per_card, place
from daemon.settings import Settings
from engines import registry
from engines.cuda.sessions import SessionProbe
from engines.cuda.visible import see_only
from engines.errors import DeviceUnavailableError
from engines.settings import DeviceSettings
from tests.unit.daemon_share import LEASE, claimed, make_share

GIB = 2**30
TWO = [Card(0, 40 * GIB), Card(1, 60 * GIB)]
numbers = st.integers(0, 3)


def test_the_card_with_most_free_slots_is_taken_then_that_with_most_memory() -> None:
    assert place(TWO, [], 2) == 1
    assert place(TWO, [1], 2) == 0
    assert place(TWO, [1, 0], 2) == 1
    assert place(TWO, [1, 0, 1], 2) == 0


def test_a_full_card_gets_nothing_and_two_full_cards_stop_the_starts() -> None:
    assert place(TWO, [1], 1) == 0
    assert not has_room(TWO, [0, 1], 1)
    assert place(TWO, [0, 1], 1) is None


def test_after_trouble_on_one_card_a_job_goes_on_on_another_if_there_is_room() -> None:
    assert place(TWO, [0], 2, shunned=1) == 0
    assert place(TWO, [0, 0], 2, shunned=1) == 1


def test_without_cards_only_slots_count() -> None:
    assert has_room([], [None] * 9, 1)
    assert place([], [None], 1) is None


@pytest.mark.parametrize(
    ("wanted", "slots", "cards", "most"),
    [("auto", 8, 2, 4), ("auto", 7, 2, 4), ("auto", 3, 0, 3), ("auto", 1, 4, 1), (5, 8, 2, 5)],
)
def test_slots_are_spread_evenly_unless_set(wanted: int, slots: int, cards: int, most: int) -> None:
    assert jobs_per_card(wanted, slots, cards) == most


@given(memory=st.lists(st.integers(0, 80), min_size=1, max_size=4), most=st.integers(1, 4),
       jobs=st.integers(0, 20), shunned=st.none() | numbers)  # fmt: skip
def test_jobs_are_spread_evenly_and_never_beyond_the_limit(
    memory: list[int], most: int, jobs: int, shunned: int | None
) -> None:
    cards = [Card(index, free * GIB) for index, free in enumerate(memory)]
    busy: list[int | None] = []
    while len(busy) < jobs and has_room(cards, busy, most):
        busy.append(place(cards, busy, most))
    counts = [busy.count(card.index) for card in cards]
    assert sum(counts) == min(jobs, most * len(cards))
    assert max(counts) - min(counts) <= 1
    if has_room(cards, busy, most) and any(c.index != shunned and busy.count(c.index) < most for c in cards):
        assert place(cards, busy, most, shunned) not in (shunned, None)


def test_index_may_be_a_number_a_list_or_auto() -> None:
    assert [DeviceSettings.model_validate({"index": index}).card for index in (3, [2, 5], "auto")] == [3, 2, 0]
    assert DeviceSettings.model_validate({"index": [2, 5]}).on_card(5).index == 5
    for wrong in (-1, 64, [], [0, 99], "all"):
        with pytest.raises(ValidationError):
            DeviceSettings.model_validate({"index": wrong})


def test_named_cards_are_looked_for_by_cuda_only_where_auto_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engines.cuda.backend", types.SimpleNamespace(all_cards=lambda: (0, 1, 2)))
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: name == "cupy")
    named = [registry.named_cards(DeviceSettings(index=index)) for index in (2, (1, 4), "auto")]
    assert named == [(2,), (1, 4), (0, 1, 2)]
    assert registry.named_cards(DeviceSettings(index=(3, 3))) == (3,)
    assert registry.named_cards(DeviceSettings(index="auto", backend="cpu")) == (0,)


def test_cards_that_do_not_open_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(device: DeviceSettings) -> Ready:
        if device.index == 1:
            raise ChildFailedError("card 1 has fallen off the bus")
        return Ready(f"cuda:{device.index}", (), (Card(device.card, GIB),))

    monkeypatch.setattr(opening, "_opened_elsewhere", opened)
    ready = opening._opened(DeviceSettings(backend="cuda", index=(0, 1, 2)))
    assert ready == Ready("cuda:0, cuda:2", ("card 1 has fallen off the bus",), (Card(0, GIB), Card(2, GIB)))
    with pytest.raises(ChildFailedError, match="off the bus"):
        opening._opened(DeviceSettings(backend="cuda", index=(1,)))


def test_a_program_of_its_own_opens_each_of_several_cards() -> None:
    """Really: here without a card, so that every program says that the work runs on the CPU, and why."""
    ready = opening._opened(DeviceSettings(backend="auto", index=(62, 63)))
    assert (ready.device, ready.cards) == ("cpu", ())
    assert all("CUDA is not used" in note for note in ready.notes)
    with pytest.raises(AnsweredError, match="CUDA is set as the device"):
        opening._opened(DeviceSettings(backend="cuda", index=(62, 63)))


SEES = """
import os, sys
from engines.cuda.visible import number_of, see_only
from engines.settings import DeviceSettings
device = see_only(DeviceSettings(index=int(sys.argv[1])))
print(device.card, number_of(device.card), os.environ.get("CUDA_VISIBLE_DEVICES"))
"""


@pytest.mark.parametrize(
    ("index", "visible", "seen"),
    [(0, "", "0 0 "), (1, "", "0 1 1"), (1, "4,6", "0 1 6"), (0, "4,6", "0 0 4,6"), (1, "GPU-aa,GPU-bb", "0 1 GPU-bb")],
)
def test_a_worker_sees_its_card_alone_under_the_number_that_people_know(index: int, visible: str, seen: str) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SEES, str(index)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip("\n") == seen


def test_a_card_that_the_environment_hides_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(DeviceUnavailableError, match="no CUDA device 1"):
        see_only(DeviceSettings(index=1))


class Opened:
    """A backend that opens, on a card or not."""

    notes = ()

    def __init__(self, device: str, room_bytes: int | None) -> None:
        self.device, self._room_bytes = device, room_bytes

    def room_bytes(self) -> int | None:
        return self._room_bytes

    def detector(self) -> Opened:
        return self

    embedder = detector

    def close(self) -> None:
        pass


COUNTED = SessionProbe(3, "NVENC returned error 10", 10)


@pytest.mark.parametrize(
    ("opened", "settings", "cards"),
    [
        (Opened("cuda:0", GIB), {}, (Card(0, GIB, COUNTED),)),
        (Opened("cuda:0", GIB), {"nvenc_max_sessions": 0}, (Card(0, GIB),)),
        (Opened("cpu", None), {}, ()),
    ],
)
def test_encoder_sessions_are_counted_when_the_service_starts_and_only_on_a_card(
    monkeypatch: pytest.MonkeyPatch, opened: Opened, settings: dict[str, int], cards: tuple[Card, ...]
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(registry, "open_backend", lambda _: opened)
    monkeypatch.setattr(opening, "probe_sessions", lambda index: asked.append(index) or COUNTED)
    ready = opening._opened(DeviceSettings.model_validate(settings))
    assert ready.cards == cards
    assert len(asked) == sum(card.nvenc is not None for card in cards)


def test_a_worker_is_given_its_card_and_the_sessions_that_were_counted(tmp_path: Path) -> None:
    share = make_share(tmp_path)
    settings = Settings.model_validate({"device": {"index": [0, 3]}})
    spec = work_order(settings, claimed(share, "x.mp4"), LEASE, Card(3, GIB, COUNTED)).spec
    assert (spec.device.index, spec.nvenc) == (3, COUNTED)
    spec = work_order(settings, claimed(share, "y.mp4"), LEASE).spec
    assert (spec.device, spec.nvenc) == (settings.device, None)


def test_what_a_worker_says_of_cards_arrives() -> None:
    cards = Card(0, 5, COUNTED), Card(1, 7)
    ready = Ready("cuda:0, cuda:1", (), cards)
    assert decode(encode(ready)) == ready


def test_a_job_remembers_its_card_and_old_manifests_have_none() -> None:
    manifest = Manifest(job="j", inbox="inbox", relative="x.mp4", profile="default", card=1)
    assert Manifest.from_json(manifest.to_json()).card == 1
    assert Manifest.from_json(manifest.to_json().replace(b'"card": 1,', b"")).card is None
