"""The cache of built engines: found by what they were built from, whole or not at all, and checked when read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from engines.inference.cache import EngineCache, EngineKey

KEY = EngineKey.of("detector", b"the model", "tensorrt-rtx", "1.7.1.116", "fp16", "sm89")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_what_is_stored_is_found_again(cache: EngineCache) -> None:
    assert cache.load(KEY) is None
    path = cache.store(KEY, b"engine")
    assert EngineCache(cache.directory).load(KEY) == b"engine"
    assert path.name == f"detector-{KEY.model_sha256[:12]}-tensorrt-rtx-1.7.1.116-fp16-sm89.engine"


@pytest.mark.parametrize("change", ["name", "model_sha256", "library", "version", "precision", "target"])
def test_another_key_finds_nothing(cache: EngineCache, change: str) -> None:
    cache.store(KEY, b"engine")
    assert cache.load(replace(KEY, **{change: "other" * 20})) is None


@pytest.mark.parametrize(("change", "what"), [("model_sha256", "another model"), ("version", "another version")])
def test_a_stale_engine_is_mentioned_and_goes_when_it_is_replaced(cache: EngineCache, change: str, what: str) -> None:
    old = cache.store(KEY, b"old")
    new_key = replace(KEY, **{change: "f" * 64})
    with capture_logs() as lines:
        assert cache.load(new_key) is None
    assert [line["event"] for line in lines] == ["engine is stale"]
    assert what in lines[0]["reason"]
    cache.store(new_key, b"new")
    assert not old.exists()
    assert [entry.key for entry in cache.entries()] == [new_key]


def test_engines_for_other_purposes_stay(cache: EngineCache) -> None:
    for change in ({}, {"target": "sm120"}, {"precision": "fp32"}, {"name": "embedder"}, {"library": "tensorrt"}):
        cache.store(replace(KEY, **change), b"engine")
    assert len(cache.entries()) == 5


def test_a_damaged_engine_is_passed_over_with_a_line_in_the_journal(cache: EngineCache) -> None:
    path = cache.store(KEY, b"engine")
    path.write_bytes(b"engin")
    with capture_logs() as lines:
        assert cache.load(KEY) is None
    assert (lines[0]["event"], lines[0]["log_level"]) == ("engine passed over", "warning")
    assert not cache.entries()[0].intact
    cache.store(KEY, b"engine")
    assert cache.load(KEY) == b"engine"


@pytest.mark.parametrize("record", ["{", "[]", "{}", '{"sha256": 5}'])
def test_a_damaged_record_is_survived(cache: EngineCache, record: str) -> None:
    path = cache.store(KEY, b"engine")
    path.with_suffix(".json").write_text(record)
    assert cache.load(KEY) is None
    assert cache.entries() == []
    cache.store(KEY, b"engine")
    assert cache.load(KEY) == b"engine"


def test_every_build_is_in_the_log_of_hashes(cache: EngineCache) -> None:
    cache.store(KEY, b"one")
    cache.store(KEY, b"two")
    lines = [json.loads(line) for line in (cache.directory / "hashes.jsonl").read_text().splitlines()]
    assert [line["size_bytes"] for line in lines] == [3, 3]
    assert len({line["sha256"] for line in lines}) == 2
    assert {line["target"] for line in lines} == {"sm89"}


def test_a_write_that_breaks_off_leaves_the_old_engine(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.store(KEY, b"new")
    assert cache.load(KEY) == b"old"
    assert not list(cache.directory.rglob("*.part"))
