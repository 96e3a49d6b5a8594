"""Checks of a manifest that was read from the share, where anybody may have written it.

No name in it may lead out of its folder, and every value must have the type that the service expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from daemon.jobs.manifest import Manifest, Move
from daemon.layout import FAILED_DIR, ORIGINALS_DIR, OUTBOX_DIR
from daemon.share.share import outbox_folder

_TEXT = ("job", "inbox", "relative", "profile", "key", "sidecar_name", "sidecar_fault")
_COUNTS = ("priority", "attempts", "consecutive_failures", "interruptions")
_SECONDS = ("claimed_at_s", "worked_s")


def check(manifest: Manifest) -> None:
    """Check the types of all values and the paths of all files.

    Raises:
        ValueError, TypeError: the service cannot have written it; the message names the value.
    """
    _check_kinds(manifest)
    _inner_path(manifest.inbox)
    _inner_path(manifest.relative)
    _plain_name(PurePath(manifest.relative).name)
    _inner_path(manifest.sidecar_name)
    for part in manifest.parts:
        _check_part(part, manifest)
    if manifest.key:
        _plain_name(manifest.key)
    subfolder = PurePath(manifest.relative).parent
    for move in manifest.publish:
        _check_move(move, {PurePath(OUTBOX_DIR, outbox_folder(subfolder))})
    for move in manifest.retire:
        _check_move(move, {PurePath(folder, subfolder) for folder in (ORIGINALS_DIR, FAILED_DIR)})
    _check_result(manifest.result)


def _check_kinds(manifest: Manifest) -> None:
    kinds: tuple[tuple[tuple[str, ...], Any], ...] = (
        (_TEXT, str),
        (_COUNTS, int),
        (_SECONDS, int | float),
        (("gpu",), int | None),
        (("sidecar",), bool),
        (("result", "error"), dict | None),
        (("parts",), list),
    )
    for names, kind in kinds:
        for name in names:
            if not isinstance(getattr(manifest, name), kind):
                raise TypeError(f"{name} is no {kind}")


def _check_part(part: Any, manifest: Manifest) -> None:
    """Check that a part lies in the folder of the recording's first file."""
    if not isinstance(part, str) or PurePath(part).parent != PurePath(manifest.relative).parent:
        raise ValueError(f"{part!r} is no part of the recording")
    _plain_name(PurePath(part).name)


def _check_move(move: Move, folders: set[PurePath]) -> None:
    """Check that a move takes one file of the job into one of ``folders``."""
    _plain_name(move.name)
    target = PurePath(move.target)
    _plain_name(target.name)
    if target.parent not in folders:
        raise ValueError(f"a file is to go to {move.target!r}")


def _check_result(result: Mapping[str, Any] | None) -> None:
    files = (result or {}).get("files", {})
    if not isinstance(files, dict):
        raise TypeError("the result's files are no table")
    for name in files.values():
        _plain_name(name)


def _plain_name(name: Any) -> None:
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file")


def _inner_path(path: str) -> None:
    """Check that a path stays in the folder that it is relative to."""
    if PurePath(path).is_absolute() or ".." in PurePath(path).parts or "\0" in path:
        raise ValueError(f"{path!r} leads out of its folder")
