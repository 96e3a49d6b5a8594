"""``dualface retry``: moves files from failed back to their inbox, with their sidecars, replacing nothing.

The report of the failure names the inbox, which determines the profile. The report is removed after the move, as the
next attempt writes its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from daemon.cli.control import writing
from daemon.config.settings import Settings
from daemon.errors import ConfigError, DaemonError
from daemon.files import read_json
from daemon.inbox import ignored_names as ignored
from daemon.layout import FAILED_DIR, FAILURE_REPORT_SUFFIX, SIDECAR_SUFFIX
from daemon.service.failed_folder import LARGEST_BYTES
from daemon.share.naming import (
    composed,
    existing_form,
    first_free,
    name_max_bytes,
    names_in,
    original_names,
    printable,
    short_stem,
    sidecar_name,
)
from daemon.share.rename import FileMark, make_dirs, move_no_replace
from daemon.share.share import Share

_LISTED = 10


class NotInFailedError(DaemonError):
    code = "NOT_IN_FAILED"


class WhichInboxError(ConfigError):
    code = "WHICH_INBOX"


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A recording in failed.

    Attributes:
        relative: its path in failed.
        report: its report, None if that is missing.
        message: what failed.
        input: where it was dropped, relative to the share's root; None if unknown.
        parts: original names of the further parts of the recording.
    """

    relative: PurePath
    report: Path | None
    message: str
    input: PurePath | None
    parts: tuple[str, ...] = ()


def failed_files(share: Share) -> list[FailedFile]:
    """Return all recordings in failed, by path; further parts belong to the first file."""
    found = list(_failed_files(share))
    parts = {path for file in found if file.parts for path, _ in _parts_beside(share.failed / file.relative, file)}
    alone = (file for file in found if share.failed / file.relative not in parts)
    return sorted(alone, key=lambda file: str(file.relative))


def choose(files: list[FailedFile], name: str) -> FailedFile:
    """Return the file of a name: its path in failed, its name, or its name without extension.

    Raises:
        NotInFailedError: there is no such file, or several.
    """
    wanted = PurePath(name)
    if FAILED_DIR in wanted.parts:
        wanted = PurePath(*wanted.parts[wanted.parts.index(FAILED_DIR) + 1 :])
    for form in (lambda path: path, lambda path: PurePath(path.name), lambda path: PurePath(path.stem)):
        found = _equal(files, form, wanted)
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(printable(file.relative) for file in found)
            raise NotInFailedError(f"'{name}' may be one of several: {several}.", remedy="Give its path below failed.")
    raise NotInFailedError(f"There is no '{printable(name)}' in failed.", remedy=list_in_words(files))


def _equal(files: list[FailedFile], form: Callable[[PurePath], PurePath], wanted: PurePath) -> list[FailedFile]:
    """Return the files of that name; in another Unicode form only if none has exactly this one."""
    found = [file for file in files if form(file.relative) == wanted]
    return found or [file for file in files if composed(str(form(file.relative))) == composed(str(wanted))]


def list_in_words(files: list[FailedFile]) -> str:
    """Return the files in failed as a sentence."""
    names = ", ".join(printable(file.relative) for file in files[:_LISTED])
    more = f" and {len(files) - _LISTED} more" if len(files) > _LISTED else ""
    return f"There are: {names}{more}." if files else "Nothing is in failed."


def requeue(share: Share, settings: Settings, file: FailedFile, inbox: str = "") -> PurePath:
    """Move a file back to its inbox; return its new path, relative to the share's root.

    Args:
        inbox: the inbox to use; "" for the original one.

    Raises:
        WhichInboxError: the inbox is unknown, or not in the configuration.
        NotAllowedError, NotChangedError: the share cannot be changed.
    """
    base, subfolder, name = _target(settings, file, inbox)
    source = share.failed / file.relative
    with writing(source):
        folder = make_dirs(existing_form(share.root / base), subfolder)
        for part, dropped in _parts_beside(source, file):
            _move(part, folder, dropped)
        target = _move(source, folder, name)
        if file.report is not None:
            file.report.unlink(missing_ok=True)
    return PurePath(share.relative(target))


def _failed_files(share: Share) -> Iterator[FailedFile]:
    for folder, folders, names in os.walk(share.failed):
        folders[:] = [name for name in folders if not ignored.find(name, is_folder=True)]
        for name in names:
            if not (ignored.find(name) or name.endswith((FAILURE_REPORT_SUFFIX, SIDECAR_SUFFIX))):
                yield _file(share, Path(folder, name))


def _file(share: Share, path: Path) -> FailedFile:
    report_path = path.with_name(short_stem(path.name, name_max_bytes(path.parent)) + FAILURE_REPORT_SUFFIX)
    try:
        report = read_json(report_path, LARGEST_BYTES)
        origin, message = PurePath(report["input"]["path"]), str(report["error"]["message"])
        parts = tuple(PurePath(part).name for part in report["input"].get("parts", [])[1:])
    except (OSError, ValueError, KeyError, TypeError):
        return FailedFile(path.relative_to(share.failed), None, "", None)
    return FailedFile(path.relative_to(share.failed), report_path, message, origin, parts)


def _parts_beside(source: Path, file: FailedFile) -> Iterator[tuple[Path, str]]:
    """Yield the parts beside a file with their original names; all files of one failure have the same number."""
    mark = source.stem.removeprefix(file.input.stem) if file.input else ""
    for part in map(PurePath, file.parts):
        path = source.with_name(f"{part.stem}{mark}{part.suffix}")
        if os.path.lexists(path):
            yield path, part.name


def _target(settings: Settings, file: FailedFile, wanted: str) -> tuple[PurePath, PurePath, str]:
    """Return the inbox, the folder in it and the name for a file."""
    inboxes = [PurePath(os.path.normpath(inbox.path)) for inbox in settings.inboxes]
    known = ", ".join(map(str, inboxes))
    if wanted:
        inboxes = [inbox for inbox in inboxes if inbox == PurePath(os.path.normpath(wanted))]
        if not inboxes:
            raise WhichInboxError(f"There is no inbox '{wanted}'.", remedy=f"The configuration has: {known}.")
    elif file.input:
        came_from = PurePath(composed(str(file.input)))
        inboxes = [inbox for inbox in inboxes if came_from.is_relative_to(composed(str(inbox)))] or inboxes
    if len(inboxes) > 1:
        raise WhichInboxError(
            f"It is not known into which inbox {printable(file.relative)} was dropped.",
            remedy=f"Name one with --inbox: {known}.",
        )
    return inboxes[0], file.relative.parent, _name(file)


def _name(file: FailedFile) -> str:
    """Return the original name if the report has it; the name in failed may have a number."""
    name = file.input.name if file.input else ""
    usable = name not in ("", "..") and "\ufffd" not in name and not ignored.find(name)
    return name if usable else file.relative.name


def _move(source: Path, folder: Path, name: str) -> Path:
    """Move a file and its sidecar; the sidecar first, so that the service cannot claim the file without it."""
    beside, mark = source.with_name(sidecar_name(source.name)), FileMark.of(source)
    while True:
        names_for = names_in(folder, original_names, name)
        names = names_for(first_free(folder, names_for))
        target = folder / names["source"]
        sidecar = folder / names["sidecar"] if "sidecar" in names and os.path.lexists(beside) else None
        try:
            if sidecar:
                move_no_replace(beside, sidecar)
            move_no_replace(source, target)
        except BaseException as error:  # also on Ctrl-C, the two must stay together
            arrived = mark is not None and FileMark.of(target) == mark
            if sidecar and not arrived and not os.path.lexists(beside):
                move_no_replace(sidecar, beside)
            if not isinstance(error, FileExistsError):
                raise
        else:
            return target
