"""The number of NVENC sessions that a GPU has opened, as plain data that workers, jobs and backends pass on."""

from __future__ import annotations

from dataclasses import dataclass

NVENC_BUSY = frozenset({10, 21})  # OUT_OF_MEMORY and INCOMPATIBLE_CLIENT_KEY: all sessions are taken


@dataclass(frozen=True, slots=True)
class SessionProbe:
    """How many NVENC sessions a GPU opened at once.

    Attributes:
        error: what ended the count; "" if nothing did.
        status: NVENC's number of that error, where it gave one.
    """

    opened: int
    error: str = ""
    status: int | None = None

    @property
    def has_encoder(self) -> bool:
        return self.opened > 0 or self.status in NVENC_BUSY
