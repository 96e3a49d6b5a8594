"""``dualface retry``: files from failed back to the inbox that they came from, with their sidecar, replacing nothing.

Which inbox that was is in the failure's report, and with the inbox its profile. The report is removed once the file has
left: the next attempt writes its own.
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
    """A file in failed. ``relative`` is its path there; ``report`` None where it has lost its report."""

    relative: PurePath
    report: Path | None
    message: str
    input: PurePath | None  # where it was dropped, relative to the share's root
    parts: tuple[str, ...] = ()  # names of the files in which the recording goes on, as they were dropped


def failed_files(share: Share) -> list[FailedFile]:
    """All files that could be tried again, by path; parts of a recording go along with its first file."""
    found = list(_look(share))
    parts = {path for file in found if file.parts for path, _ in _parts_beside(share.failed / file.relative, file)}
    alone = (file for file in found if share.failed / file.relative not in parts)
    return sorted(alone, key=lambda file: str(file.relative))


def choose(files: list[FailedFile], name: str) -> FailedFile:
    """The file that a person means: by path in failed, by name, or by name without extension.

    Raises:
        NotInFailedError: there is none, or several folders hold one.
    """
    wanted = PurePath(name)
    if FAILED_DIR in wanted.parts:
        wanted = PurePath(*wanted.parts[wanted.parts.index(FAILED_DIR) + 1 :])
    for called in (lambda path: path, lambda path: PurePath(path.name), lambda path: PurePath(path.stem)):
        found = _equal(files, called, wanted)
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(printable(file.relative) for file in found)
            raise NotInFailedError(f"'{name}' may be one of several: {several}.", remedy="Give its path below failed.")
    raise NotInFailedError(f"There is no '{printable(name)}' in failed.", remedy=told(files))


def _equal(files: list[FailedFile], called: Callable[[PurePath], PurePath], wanted: PurePath) -> list[FailedFile]:
    """Files that are called so; in another Unicode form only where none is in this one."""
    found = [file for file in files if called(file.relative) == wanted]
    return found or [file for file in files if composed(str(called(file.relative))) == composed(str(wanted))]


def told(files: list[FailedFile]) -> str:
    """What lies in failed, in words."""
    names = ", ".join(printable(file.relative) for file in files[:_LISTED])
    more = f" and {len(files) - _LISTED} more" if len(files) > _LISTED else ""
    return f"There are: {names}{more}." if files else "Nothing lies in failed."


def retry(share: Share, settings: Settings, file: FailedFile, inbox: str = "") -> PurePath:
    """Move a file back into its inbox; returns its new path, relative to the share's root.

    Args:
        inbox: the inbox to use; "" takes the one that the file came from.

    Raises:
        WhichInboxError: that cannot be told, or is none of the configuration.
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


def _look(share: Share) -> Iterator[FailedFile]:
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
    """The parts that lie there, with the names that they had: all files of one failure have the same number."""
    mark = source.stem.removeprefix(file.input.stem) if file.input else ""
    for part in map(PurePath, file.parts):
        path = source.with_name(f"{part.stem}{mark}{part.suffix}")
        if os.path.lexists(path):
            yield path, part.name


def _target(settings: Settings, file: FailedFile, wanted: str) -> tuple[PurePath, PurePath, str]:
    """The inbox, the folder in it and the name that a file gets."""
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
    """The name under which it was dropped, where the report can tell: in failed it may have got a number."""
    name = file.input.name if file.input else ""
    usable = name not in ("", "..") and "\ufffd" not in name and not ignored.find(name)
    return name if usable else file.relative.name


def _move(source: Path, folder: Path, name: str) -> Path:
    """The sidecar goes first: the service must not take the recording without it."""
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
        except BaseException as error:  # Ctrl-C as well: the two stay together
            arrived = mark is not None and FileMark.of(target) == mark
            if sidecar and not arrived and not os.path.lexists(beside):
                move_no_replace(sidecar, beside)
            if not isinstance(error, FileExistsError):
                raise
        else:
            return target
