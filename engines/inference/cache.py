"""The cache of built engines: found by the inputs of their build, written atomically, and checked when read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from engines.cache_dir import default_cache_dir
from engines.checked_file import write_whole

_LOG_NAME = "hashes.jsonl"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineKey:
    """The inputs of an engine's build; a change of any makes the engine stale.

    Attributes:
        name: of the model, for people: "detector".
        model_sha256: of the ONNX file.
        library: "tensorrt" or "tensorrt-rtx", and ``version`` its full version.
        precision: "fp16" or "fp32".
        target: GPU generation, "sm89".
    """

    name: str
    model_sha256: str
    library: str
    version: str
    precision: str
    target: str

    @classmethod
    def of(cls, name: str, model: bytes, library: str, version: str, precision: str, target: str) -> EngineKey:
        return cls(name, hashlib.sha256(model).hexdigest(), library, version, precision, target)

    @property
    def filename(self) -> str:
        return (
            f"{self.name}-{self.model_sha256[:12]}-{self.library}-{self.version}-{self.precision}-{self.target}.engine"
        )


@dataclass(frozen=True, slots=True)
class CachedEngine:
    """An engine on disk and its record. ``intact``: the file matches its checksum."""

    key: EngineKey
    path: Path
    size_bytes: int
    sha256: str
    built_at: str
    intact: bool


class EngineCache:
    """A directory of engines. Every engine has a record (``.json``) beside it; ``hashes.jsonl`` logs every build.

    Args:
        directory: None takes ``engines`` in the user's or service's cache.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or default_cache_dir() / "engines"

    def load(self, key: EngineKey) -> bytes | None:
        """Return the engine, or None if there is none for this key or it is damaged, which is logged."""
        path = self.directory / key.filename
        try:
            content = path.read_bytes()
            sha256 = json.loads(_record_path(path).read_text(encoding="utf-8"))["sha256"]
        except FileNotFoundError:
            self._log_stale(key)
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("engine passed over", path=str(path), reason=repr(error))
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            log.warning("engine passed over", path=str(path), reason="its checksum differs")
            return None
        return content

    def store(self, key: EngineKey, engine: bytes) -> Path:
        """Store an engine, and remove those of the same model, precision and target that it makes stale.

        Raises:
            OSError: the directory cannot be written.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / key.filename
        record = {
            **asdict(key),
            "sha256": hashlib.sha256(engine).hexdigest(),
            "size_bytes": len(engine),
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        text = json.dumps(record)
        write_whole(path, engine)
        write_whole(_record_path(path), f"{text}\n".encode())
        with (self.directory / _LOG_NAME).open("a", encoding="utf-8") as hashes:
            hashes.write(f"{text}\n")
        for stale in self._stale(key):
            log.info("stale engine removed", path=str(stale.path), replaced_by=path.name)
            self.remove(stale)
        return path

    def entries(self) -> list[CachedEngine]:
        """Return all engines that have a readable record, by name."""
        found = []
        for record_path in sorted(self.directory.glob("*.json")):
            try:
                record = json.loads(record_path.read_text(encoding="utf-8"))
                path = record_path.with_suffix(".engine")
                content = path.read_bytes()
                key = EngineKey(**{name: record[name] for name in EngineKey.__dataclass_fields__})
                intact = hashlib.sha256(content).hexdigest() == record["sha256"]
                found.append(CachedEngine(key, path, len(content), record["sha256"], record["built_at"], intact))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("engine passed over", path=str(record_path), reason=repr(error))
        return found

    def remove(self, engine: CachedEngine) -> None:
        engine.path.unlink(missing_ok=True)
        _record_path(engine.path).unlink(missing_ok=True)

    def _stale(self, key: EngineKey) -> list[CachedEngine]:
        """Return engines of the same purpose, from another model file or another version of the library."""
        same = (key.name, key.library, key.precision, key.target)
        return [
            entry
            for entry in self.entries()
            if entry.key != key
            and (entry.key.name, entry.key.library, entry.key.precision, entry.key.target) == same
        ]  # fmt: skip

    def _log_stale(self, key: EngineKey) -> None:
        for stale in self._stale(key):
            what = "model" if stale.key.model_sha256 != key.model_sha256 else "version of the library"
            log.info("engine is stale", path=str(stale.path), reason=f"it was built from another {what}")


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")
