"""The nodes of a cluster in the status: as JSON, merged, and on the page."""

from __future__ import annotations

import json
from dataclasses import asdict

from daemon.pages.i18n import Translator
from daemon.status.model import NodeLine, ServiceStatus
from daemon.status.page import page_of
from daemon.status.store import HostReport, merged

READY = NodeLine("lab<1>", "ready", "cuda:0", ["sm90-1f0c22ab"], 1, 3)
STRAY = NodeLine("lab2", "other_share")
STATUS = ServiceStatus("studio", 1, state="working", nodes=[READY, STRAY])


def test_nodes_survive_their_way_over_the_share() -> None:
    assert ServiceStatus.from_json(json.dumps(asdict(STATUS)).encode()).nodes == [READY, STRAY]


def test_the_page_of_all_services_shows_the_nodes_of_those_that_run() -> None:
    other = ServiceStatus("studio-2", 1, state="idle")
    together = merged(other, [HostReport(STATUS, silent=False), HostReport(other, silent=False)], listed=5)
    assert together.nodes == [READY, STRAY]
    assert merged(other, [HostReport(STATUS, silent=True), HostReport(other, silent=False)], listed=5).nodes == []


def test_the_page_names_nodes_classes_and_slots_in_both_languages() -> None:
    page = page_of(STATUS, Translator(("en", "ko"))).decode()
    for text in ("Nodes of the cluster", "클러스터 노드", "lab&lt;1&gt;", "sm90-1f0c22ab", "1 of 3 slots in use"):
        assert text in page
    assert "sees another share and gets no work" in page
    assert "Nodes of the cluster" not in page_of(ServiceStatus("studio", 1), Translator(("en",))).decode()
