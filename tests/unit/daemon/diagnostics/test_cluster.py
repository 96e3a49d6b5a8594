"""The check of what a cluster needs on this host."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cluster import join_checks
from daemon.diagnostics.checks import cluster as checks
from daemon.diagnostics.checks.cluster import cluster
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Verdict
from daemon.executor.nodes import ClusterDescription, Versions, token_mark
from tests.support.share import make_share, settings_for

WORD = "7" * 64


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """A host with a token, on the share of a head that listens."""
    monkeypatch.setattr(join_checks, "check_ray", lambda: None)
    token = tmp_path / "token"
    token.write_text(WORD)
    token.chmod(0o600)
    (tmp_path / "share").mkdir()
    share = make_share(tmp_path / "share")
    sections = {"engine": "ray", "address": "127.0.0.1", "token_file": str(token)}
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        mark = token_mark(WORD, "c")
        ClusterDescription("c", "127.0.0.1", port, str(share.root), Versions.here(), mark).write(share.state, "head")
        yield Context(settings_for(share.root, cluster=sections))


def test_without_a_cluster_there_is_nothing_to_check(tmp_path: Path) -> None:
    assert cluster(Context(settings_for(tmp_path))).verdict is Verdict.NOT_APPLICABLE


def test_a_private_network_is_named_as_a_requirement(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster(context)
    assert found.verdict is Verdict.OK
    assert "private network" in found.summary
    assert "9480 to 9599" in found.summary
    monkeypatch.setattr(checks, "_is_public", lambda _: True)
    public = cluster(context)
    assert (public.verdict, "private network" in public.remedy) == (Verdict.WARNING, True)


@pytest.mark.parametrize(
    ("address", "public"), [("8.8.8.8", True), ("10.0.0.1", False), ("no.such.host.invalid", False)]
)
def test_public_addresses_are_known(address: str, public: bool) -> None:
    assert checks._is_public(address) is public


def test_what_is_missing_is_told_with_its_remedy(context: Context) -> None:
    context.settings.cluster.token_file.chmod(0o644)
    found = cluster(context)
    assert (found.verdict, "Others may read" in found.summary, "chmod 600" in found.remedy) == (
        Verdict.FAILED, True, True,
    )  # fmt: skip
    context.settings.cluster.token_file.chmod(0o600)
    (context.share.state / "cluster.json").unlink()
    found = cluster(context)
    assert (found.verdict, found.remedy) == (Verdict.FAILED, "Start it: dualface cluster start")
