"""What keeps a host from joining a cluster, and what people are told to do."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cluster import join_checks, token
from daemon.cluster.errors import (
    ClockError,
    HeadUnreachableError,
    OtherShareError,
    OtherVersionError,
    RayMissingError,
    TokenError,
)
from daemon.config.settings import Settings
from daemon.executor import nodes
from daemon.executor.nodes import ClusterDescription, Versions, token_mark
from daemon.share.reach import NoShareError
from daemon.share.share import Share
from tests.support.share import make_share, settings_for

WORD = "7" * 64
HEAD = "192.0.2.10"


@pytest.fixture
def share(tmp_path: Path) -> Share:
    (tmp_path / "share").mkdir()
    return make_share(tmp_path / "share")


@pytest.fixture
def settings(share: Share, tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text(f"{WORD}\n")
    (tmp_path / "token").chmod(0o600)
    return settings_for(share.root, cluster={"token_file": str(tmp_path / "token")})


@pytest.fixture
def cluster(share: Share) -> ClusterDescription:
    found = ClusterDescription("c0", HEAD, 9480, str(share.root), Versions.here(), token_mark(WORD, "c0"))
    found.write(share.state, "head")
    return found


def test_a_host_that_fits_may_join(share: Share, settings: Settings, cluster: ClusterDescription) -> None:
    assert join_checks.check_share(share, HEAD) == cluster
    join_checks.check_versions(cluster)
    join_checks.check_token(settings, cluster)
    join_checks.check_clock(share, "node")
    assert not list(share.state.glob(".clock*"))


def test_the_share_must_be_that_of_the_head(share: Share, cluster: ClusterDescription, tmp_path: Path) -> None:
    with pytest.raises(OtherShareError, match=r"has its head at 192\.0\.2\.10, not 192\.0\.2\.11"):
        join_checks.check_share(share, "192.0.2.11")
    with pytest.raises(HeadUnreachableError, match="is not known"):
        join_checks.check_share(share, "no.such.host.invalid")
    replace(cluster, root="/mnt/nas").write(share.state, "head")
    with pytest.raises(OtherShareError, match="The head has the share at /mnt/nas"):
        join_checks.check_share(share, HEAD)
    (share.state / "cluster.json").unlink()
    with pytest.raises(OtherShareError, match="No head has been started"):
        join_checks.check_share(share, HEAD)
    with pytest.raises(NoShareError):
        join_checks.check_share(Share(settings_for(tmp_path / "nowhere")), HEAD)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cluster": 5}', b"\xff"])
def test_a_damaged_description_is_none(share: Share, content: bytes) -> None:
    (share.state / "cluster.json").write_bytes(content)
    assert ClusterDescription.read(share.state) is None


def test_the_software_must_be_that_of_the_head(cluster: ClusterDescription) -> None:
    with pytest.raises(OtherVersionError, match=r"python 3\.\d+\.\d+ instead of 3\.9\.1, ray .* instead of 2\.1"):
        join_checks.check_versions(replace(cluster, versions=replace(cluster.versions, python="3.9.1", ray="2.1")))


def test_without_ray_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_version", lambda _: "")
    with pytest.raises(RayMissingError):
        join_checks.check_ray()


def test_the_token_must_be_that_of_the_head(settings: Settings, cluster: ClusterDescription) -> None:
    path = settings.cluster.token_file
    path.write_text("8" * 64)
    with pytest.raises(TokenError, match="does not hold the cluster's token"):
        join_checks.check_token(settings, cluster)
    path.chmod(0o640)
    with pytest.raises(TokenError, match="Others may read"):
        join_checks.check_token(settings, cluster)
    path.unlink()
    with pytest.raises(TokenError, match="cannot be read"):
        join_checks.check_token(settings, cluster)


def test_a_token_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert token.make_if_missing(path)
    made = token.read(path)
    assert (len(made), path.stat().st_mode & 0o777) == (64, 0o600)
    assert not token.make_if_missing(path)
    assert token.read(path) == made
    with pytest.raises(TokenError, match="cannot be written"):
        token.make_if_missing(tmp_path / "missing" / "token")
    path.write_text("short")
    with pytest.raises(TokenError, match="less than 32"):
        token.read(path)


@pytest.mark.parametrize("skew_s", [-60, 60])
def test_the_clock_must_be_that_of_the_file_server(share: Share, skew_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    touch = Path.touch

    def touch_by_server(path: Path) -> None:
        touch(path)
        server = path.stat().st_mtime + skew_s
        os.utime(path, (server, server))

    monkeypatch.setattr(Path, "touch", touch_by_server)
    with pytest.raises(ClockError, match=r"differ by (60|59) s"):
        join_checks.check_clock(share, "node")


def test_the_head_must_answer(cluster: ClusterDescription) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        here = replace(cluster, address="127.0.0.1", port=listening.getsockname()[1])
        with pytest.raises(HeadUnreachableError, match=r"127\.0\.0\.1:"):
            join_checks.check_head(here)
        listening.listen()
        join_checks.check_head(here)
    with pytest.raises(HeadUnreachableError, match="no way"):
        join_checks.own_address("no.such.host.invalid")
