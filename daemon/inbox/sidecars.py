"""The sidecars of one inbox, and the recordings that they belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from daemon.errors import SidecarUnclearError
from daemon.inbox.scanner import Found
from daemon.inbox.sidecar_names import base_key, recording_keys, unclear
from daemon.share.naming import sidecar_name


class Sidecars:
    """The sidecars and recordings that the scan has found; an exact name wins over a similar one."""

    def __init__(self) -> None:
        self._settled: dict[str, Found] = {}
        self._by_key: defaultdict[str, set[str]] = defaultdict(set)
        self._exact: defaultdict[str, set[str]] = defaultdict(set)  # recordings by the name of their sidecar

    def keys(self) -> set[str]:
        """Return all known sidecars and recordings."""
        return set().union(*self._by_key.values(), *self._exact.values())

    def see(self, found: Found, *, settled: bool) -> None:
        """Record that the scan has found a sidecar."""
        self._by_key[base_key(found.relative)].add(found.relative)
        if settled:
            self._settled[found.relative] = found
        else:
            self._settled.pop(found.relative, None)

    def see_recording(self, relative: str) -> None:
        """Record that the scan has found a recording."""
        self._exact[sidecar_name(relative)].add(relative)

    def forget(self, relative: str) -> None:
        """Record that a sidecar or a recording is gone."""
        self._settled.pop(relative, None)
        for index, key in ((self._by_key, base_key(relative)), (self._exact, sidecar_name(relative))):
            index[key].discard(relative)
            if not index[key]:
                del index[key]

    def of(self, recording: str) -> list[str]:
        """Return all sidecars of a recording, settled or not, by path."""
        near = {name for key in recording_keys(recording) for name in self._by_key.get(key, ())}
        exact = sidecar_name(recording)
        return sorted(name for name in near if name == exact or name not in self._exact)

    def must_wait(self, recording: str) -> bool:
        """Return whether a recording must wait: for a sidecar that still changes, or because it has several."""
        names = self.of(recording)
        return len(names) > 1 or any(name not in self._settled for name in names)

    def settled(self, recording: str) -> Found | None:
        """Return the settled sidecar of a recording; None if there is none."""
        return next((self._settled[name] for name in self.of(recording) if name in self._settled), None)

    def unclear(self) -> Mapping[str, SidecarUnclearError]:
        """Return the recordings that have several sidecars, with the error."""
        if len(self._by_key) < 2 and all(len(names) < 2 for names in self._by_key.values()):
            return {}
        found = {name: self.of(name) for names in self._exact.values() for name in names}
        return {name: unclear(names) for name, names in sorted(found.items()) if len(names) > 1}
