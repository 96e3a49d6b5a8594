"""Changes one value of the configuration file for ``dualface config set``, and keeps everything else in it.

The new text is checked together with all other layers before it atomically replaces the file.
"""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from daemon.config import catalog
from daemon.config.live_keys import needs_restart
from daemon.config.loader import DEFAULT_PATH, InvalidConfigError, Loaded, drop_ins, load_with_origins
from daemon.config.sources import load_yaml, parse_value, read_file
from daemon.errors import ConfigError, DaemonError
from daemon.nested import ABSENT, at
from daemon.remedies import remedy_of
from daemon.user import user_name
from engines.files import replacing


class UnknownKeyError(ConfigError):
    code = "UNKNOWN_KEY"
    remedy = "`dualface config show` lists every key."


class OverruledError(ConfigError):
    code = "OVERRULED"
    remedy = "Change it there."


class NotWritableError(DaemonError):
    code = "CONFIG_NOT_WRITABLE"
    remedy = "Repeat the command with sudo, or name another file with --config."
    environmental = True


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was written.

    Attributes:
        file: the configuration file.
        key: dotted name of the key.
        before: the value that was in force; ``ABSENT`` if there was none.
        after: the value that is in force now.
        how: the verb of systemctl that makes a running service take it over.
    """

    file: Path
    key: str
    before: Any
    after: Any
    how: str

    def summary(self) -> str:
        """Return the change in words."""
        was = "" if self.before is ABSENT else f", was {self.before}"
        return (
            f"{self.key} is {self.after} now{was} ({self.file}).\n"
            f"A running service takes it over with: sudo systemctl {self.how} dualface"
        )


def set_value(path: Path | None, key: str, text: str, reason: str) -> Change:
    """Set one key in the configuration file, with time and reason in a comment above it.

    Args:
        path: the file, which is created if it is missing; None means ``/etc/dualface/config.yaml``.
        key: dotted name of the key.
        text: the value as YAML.
        reason: the reason, for the comment.

    Raises:
        UnknownKeyError: there is no such key.
        InvalidConfigError: the configuration would not be valid, or is not valid now.
        OverruledError: a drop-in sets the key, so the change would have no effect.
        NotWritableError: the file cannot be written.
    """
    file = (path or DEFAULT_PATH).resolve()
    parts = _parts(key)
    value = _value(key, text)
    _check_overruled(file, parts)
    old = _read(file)
    before = _before(file, old, parts)
    new = _edited(old, parts, value, _remark(before, reason))
    try:
        after = _in_force(load_with_origins(file, text=new), parts)
    except InvalidConfigError as error:
        error.remedy = f"Nothing was written. {remedy_of(error)}"
        raise
    _replace(file, old, new)
    return Change(file, key, before, after, "restart" if needs_restart(parts) else "reload")


def _parts(key: str) -> catalog.Path:
    parts = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
    if not key or catalog.find(parts) is None:
        raise UnknownKeyError(f"There is no key '{key}'", remedy=_remedy(parts))
    return parts


def _remedy(parts: catalog.Path) -> str:
    hint = catalog.suggestion(parts)
    return f"{hint[0].upper()}{hint[1:]}" if hint != "remove it" else UnknownKeyError.remedy


def _value(key: str, text: str) -> Any:
    try:
        return parse_value(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The value of {key} is not YAML: {text}", remedy="Put it in quotes.") from error


def _check_overruled(file: Path, parts: catalog.Path) -> None:
    for drop_in in reversed(drop_ins(file)):
        layer = read_file(drop_in)
        if layer.has(parts):
            raise OverruledError(
                f"{catalog.dotted(parts)} is set by a drop-in, which takes precedence ({layer.origin(parts)})"
            )


def _in_force(loaded: Loaded, parts: catalog.Path) -> Any:
    values = loaded.settings.model_dump(mode="json")
    return at(values, parts)


def _before(file: Path, old: str, parts: catalog.Path) -> Any:
    """Return the value in force; ``ABSENT`` if the configuration has mistakes, which this change may correct."""
    try:
        return _in_force(load_with_origins(file, text=old), parts)
    except InvalidConfigError as error:
        if any(not problem.key for problem in error.problems):
            raise
        return ABSENT


def _remark(before: Any, reason: str) -> str:
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    was = "" if before is ABSENT or isinstance(before, dict | list) else f", was {before}"
    return f"{when}, {user_name()}{was}: {' '.join(reason.split())}"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise NotWritableError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text", remedy="Save it as UTF-8.") from error


def _edited(old: str, parts: catalog.Path, value: Any, remark: str) -> str:
    """Return the text with one value changed; an error if it would not read back as intended."""
    wanted = _with(load_yaml(old) or {}, parts, value)
    document = _yaml().load(old)
    empty = document is None
    document = CommentedMap() if empty else document
    _put(document, parts, value, remark)
    out = io.StringIO()
    _yaml().dump(document, out)
    new = f"{old.rstrip()}\n{out.getvalue()}".lstrip() if empty else out.getvalue()
    if load_yaml(new) != wanted:
        raise ConfigError("The file is written in a way that this command cannot change", remedy="Edit it by hand.")
    return new


def _yaml() -> YAML:
    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 4096
    parser.indent(mapping=2, sequence=4, offset=2)
    return parser


def _put(document: CommentedMap, parts: catalog.Path, value: Any, remark: str) -> None:
    document.fa.set_block_style()
    sections = _sections(document, parts)
    _set(sections[-1], parts[-1], value)
    depth = max(number for number, section in enumerate(sections) if _has_lines(section))
    sections[depth].yaml_set_comment_before_after_key(parts[depth], before=remark, indent=2 * depth)


def _sections(document: CommentedMap, parts: catalog.Path) -> list[Any]:
    """Return the section around each part of the path, the outermost first; missing ones are created."""
    sections: list[Any] = [document]
    for part, following in pairwise(parts):
        if not _get(sections[-1], part):
            _set(sections[-1], part, CommentedSeq() if isinstance(following, int) else CommentedMap())
        sections.append(sections[-1][part])
    return sections


def _has_lines(section: Any) -> bool:
    """Whether its keys have lines of their own, so that a comment fits above them; not so in {a: 1, b: 2}."""
    return isinstance(section, CommentedMap) and not section.fa.flow_style()


def _with(values: Any, parts: catalog.Path, value: Any) -> Any:
    """Return plain values with one value changed."""
    if not parts:
        return value
    copy = list(values or []) if isinstance(parts[0], int) else dict(values or {})
    _set(copy, parts[0], _with(_get(copy, parts[0]), parts[1:], value))
    return copy


def _get(section: Any, part: str | int) -> Any:
    found = at(section, [part])
    return None if found is ABSENT else found


def _set(section: Any, part: str | int, value: Any) -> None:
    if isinstance(section, list) and part == len(section):
        section.append(value)
    elif isinstance(section, list) and not (isinstance(part, int) and part < len(section)):
        raise UnknownKeyError(f"The list has {len(section)} entries, counted from 0", remedy="Name one of them.")
    else:
        section[part] = value


def _replace(file: Path, old: str, new: str) -> None:
    try:
        with replacing(file, writer=str(os.getpid())) as written:
            written.write(new.encode())
            if file.exists():
                shutil.copystat(file, written.name)
                os.chown(written.name, file.stat().st_uid, file.stat().st_gid)
            if _read(file) != old:
                message = f"Somebody else has just changed {file}"
                raise ConfigError(message, remedy="Look at it, and repeat the command.")
    except OSError as error:
        raise NotWritableError(f"{file} cannot be written: {error.strerror}") from error
