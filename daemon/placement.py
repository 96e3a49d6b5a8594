"""Which card does which job: pure decisions, from the cards that worked at the start and the jobs that run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engines.cuda.sessions import SessionProbe


@dataclass(frozen=True, slots=True)
class Card:
    """A card that opened at the service's start.

    Attributes:
        index: CUDA's number.
        free_bytes: memory below the guard that nobody used then.
        nvenc: its encoder sessions, counted then; None where they are not to be used.
    """

    index: int
    free_bytes: int
    nvenc: SessionProbe | None = None


def jobs_per_card(wanted: int | Literal["auto"], slots: int, cards: int) -> int:
    """Most jobs that one card does at a time; auto spreads the service's ``slots`` evenly."""
    return wanted if wanted != "auto" else math.ceil(slots / max(1, cards))


def has_room(cards: Sequence[Card], busy: Sequence[int | None], most: int) -> bool:
    """Whether one more job can start; without cards (the work runs on the CPU) the slots alone decide.

    Args:
        busy: the card of each running job, None where it has none.
        most: jobs that one card may do.
    """
    return not cards or bool(_open_cards(cards, busy, most))


def place(cards: Sequence[Card], busy: Sequence[int | None], most: int, shunned: int | None = None) -> int | None:
    """The number of the card with the most free slots, then the most memory; None without cards.

    Args:
        busy, most: see ``has_room``.
        shunned: the card where the job ended badly before: any other with room is taken instead.
    """
    free = _open_cards(cards, busy, most)
    if not free:
        return None
    return min(free, key=lambda card: (card.index == shunned, busy.count(card.index), -card.free_bytes)).index


def _open_cards(cards: Sequence[Card], busy: Sequence[int | None], most: int) -> list[Card]:
    return [card for card in cards if busy.count(card.index) < most]
