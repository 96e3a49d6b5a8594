"""The table of channels: in the code, in the document, and as it works."""

from __future__ import annotations

from pathlib import Path

import pytest
from av.audio.layout import AudioLayout
from hypothesis import given
from hypothesis import strategies as st

from engines.audio import channel_mapping as audio_layout
from engines.audio.channel_mapping import ChannelMapping, map_channels

DOCUMENT = Path(__file__).parents[4] / "docs" / "audio.md"


def plan(layout: str, *labels: str, **more: bool) -> ChannelMapping:
    return map_channels(AudioLayout(layout), labels or None, **more)


def test_the_document_has_the_codes_table() -> None:
    rows = [line for line in (audio_layout.__doc__ or "").splitlines() if line.startswith("|")]
    assert len(rows) == 7
    assert set(rows) <= set(DOCUMENT.read_text().splitlines())


@pytest.mark.parametrize(
    ("layout", "rule", "result"),
    [
        ("mono", "kept", "mono"),
        ("stereo", "kept", "stereo"),
        ("5.1(side)", "kept", "5.1"),
        ("7.1", "kept", "7.1"),
        ("quad", "positions", "stereo"),
        ("7.1(wide)", "positions", "stereo"),
        ("22.2", "positions", "stereo"),
        ("1 channels", "kept", "mono"),
        ("2 channels", "kept", "stereo"),
        ("6 channels", "discrete", "stereo"),
        ("64 channels", "discrete", "stereo"),
        ("ambisonic 1", "discrete", "stereo"),
    ],
)
def test_rows(layout: str, rule: str, result: str) -> None:
    found = plan(layout)
    assert (found.rule, found.layout) == (rule, result)


def test_labels_tell_what_the_layout_does_not() -> None:
    """Film order: L C R Ls Rs LFE."""
    found = plan("6 channels", "FL", "FC", "FR", "SL", "SR", "LFE")
    assert (found.rule, found.layout) == ("kept", "5.1")
    assert [row.index(1.0) for row in found.gains] == [0, 2, 1, 5, 3, 4]


@pytest.mark.parametrize("labels", [("FL", "FR", "UNK"), ("FL", "FL", "FC"), ("FL", "FR")])
def test_labels_that_do_not_tell_are_not_trusted(labels: tuple[str, ...]) -> None:
    assert plan("3 channels", *labels).rule == "discrete"


def test_a_microphone_named_lfe() -> None:
    assert plan("5.1").rule == "kept"
    found = plan("5.1", lfe_is_microphone=True)
    assert (found.rule, found.gains) == ("discrete", ((1.0,) * 6,) * 2)
    assert plan("5.0", lfe_is_microphone=True).rule == "kept", "there is none"


@given(
    st.sampled_from(["mono", "stereo", "2.1", "5.1", "6.1", "7.1", "1 channels", "9 channels", "64 channels"]),
    st.booleans(),
)
def test_no_channel_is_ever_dropped(layout: str, stereo: bool) -> None:
    found = plan(layout, stereo=stereo)
    assert all(max(column) > 0 for column in zip(*found.gains, strict=True))
    assert len(found.gains) == AudioLayout(found.layout).nb_channels
    assert found.layout == "stereo" or not stereo
    assert found.pan(0.5).count("|") == len(found.gains)
