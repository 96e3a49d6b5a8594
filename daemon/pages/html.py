"""Renders self-contained pages: style and script are in the file, and the page loads nothing from the network."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from daemon.pages import i18n

Names: TypeAlias = tuple[str, ...]

_REORDERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# The logo of the pages: two tiles with a person in each.
_MARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 20">'
    '<rect width="11" height="20" rx="2.5" fill="#2f5fd0"/>'
    '<rect x="13" width="11" height="20" rx="2.5" fill="#c2571a"/>'
    '<g fill="#fff"><circle cx="5.5" cy="8" r="2.6"/><path d="M1.5 18a4 4.5 0 0 1 8 0z"/>'
    '<circle cx="18.5" cy="8" r="2.6"/><path d="M14.5 18a4 4.5 0 0 1 8 0z"/></g></svg>'
)


def render(template: str, styles: Names, scripts: Names, early: Names = (), **values: Any) -> bytes:
    """Return a page made from a template and the named style sheets and scripts beside it.

    The page's content security policy allows exactly these, by their hashes, so that no script in a file's name runs.

    Args:
        template: name of the template.
        styles, scripts: names of files beside it.
        early: scripts that run before the rest of the page is parsed.
        values: variables of the template.
    """
    style, script, first = (Markup("\n" + "".join(map(_source, names))) for names in (styles, scripts, early))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(first)}' '{_hash(script)}'; "
        "img-src 'self' file: data:; frame-src 'self' file:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            style=style,
            script=script,
            early=first,
            policy=policy,
            mark=Markup(_MARK),
            icon="data:image/svg+xml," + quote(_MARK),
            build=hashlib.sha256((style + first + script).encode()).hexdigest()[:12],
            **values,
        )
        .encode("utf-8", "replace")
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("daemon.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(span=i18n.Duration, word=_word)
    environment.filters.update(size=i18n.size, clock=i18n.clock, visible=visible)
    return environment


def visible(text: str) -> str:
    """Return untrusted text with control and reordering characters escaped, such as "\\u202e"."""
    return "".join(f"\\u{ord(char):04x}" if _is_deceptive(char) else char for char in text)


def _is_deceptive(char: str) -> bool:
    return unicodedata.category(char) == "Cc" or char in _REORDERING


def _word(key: str, language: i18n.Language) -> str:
    return i18n.text(key, language)


@cache
def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
