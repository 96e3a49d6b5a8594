"""Texts of the pages in all languages, from the catalogue ``words.yaml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

import yaml
from markupsafe import Markup

Language: TypeAlias = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def languages(choice: str) -> tuple[Language, ...]:
    """Return the languages of a page for ``status.language``; all of them for "auto", where the browser chooses."""
    return tuple(language for language in LANGUAGES if choice in ("auto", language))


@cache
def catalogue() -> dict[str, dict[Language, str]]:
    """Return all texts by key and language."""
    text = resources.files("daemon.pages").joinpath("words.yaml").read_text("utf-8")
    loaded: dict[str, dict[Language, str]] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded


def text(key: str, language: Language, **values: Any) -> str:
    """Return one text, not escaped, with its values filled in.

    Raises:
        KeyError: the catalogue has no such text, or a value is missing.
    """
    return catalogue()[key][language].format(**_localized(values, language))


def _localized(values: dict[str, Any], language: Language) -> dict[str, Any]:
    return {
        name: value.text(language) if isinstance(value, Duration | Word) else value for name, value in values.items()
    }


class Translator:
    """Returns the texts of a page as HTML: in one language, or in several of which the page's script shows one."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self.languages = tuple(languages)

    def __call__(self, key: str, **values: Any) -> Markup:
        """Return a text as HTML; values are escaped, unless they are ``Markup``."""
        return self._joined({language: _filled(key, language, values) for language in self.languages})

    def error(self, code: str, part: Literal["what", "do"], english: str) -> Markup:
        """Return an error's meaning or remedy from the catalogue as HTML.

        Args:
            code: the error's code.
            part: "what" for the meaning, "do" for the remedy.
            english: the program's own text. It is used for a code that is not in the catalogue, and as the English
                remedy, which may be more precise than the catalogue's.
        """
        key = f"error.{code}.{part}"
        if key not in catalogue():
            return Markup.escape(english)
        texts = {language: Markup.escape(text(key, language)) for language in self.languages}
        if part == "do" and english and "en" in texts:
            texts["en"] = Markup.escape(english)
        return self._joined(texts)

    def bilingual(self, english: str, korean: str) -> Markup:
        """Return a sentence that exists in both languages as HTML; it is escaped."""
        texts: dict[Language, str] = {"en": english, "ko": korean}
        return self._joined({language: Markup.escape(texts[language]) for language in self.languages})

    def _joined(self, texts: dict[Language, Markup]) -> Markup:
        if len(texts) == 1:
            return texts[self.languages[0]]
        return Markup("").join(Markup('<span lang="{}">{}</span>').format(*pair) for pair in texts.items())

    def of(self, family: str, name: str, **values: Any) -> Markup:
        """Return the text ``family.name`` as HTML; the name itself if the catalogue does not have it."""
        key = f"{family}.{name}"
        return self(key, **values) if key in catalogue() else Markup.escape(name.replace("_", " "))


def _filled(key: str, language: Language, values: dict[str, Any]) -> Markup:
    return Markup.escape(catalogue()[key][language]).format(**_localized(values, language))


@dataclass(frozen=True, slots=True)
class Duration:
    """A time span, rounded more the longer it is."""

    seconds: float

    def text(self, language: Language) -> str:
        """Return it in a language, such as "12 min"."""
        minutes = round(self.seconds / _MINUTE_S)
        if self.seconds < _MINUTE_S:
            return text("time.less_than_minute", language)
        if minutes < _HOUR_S // _MINUTE_S:
            return text("time.minutes", language, minutes=minutes)
        if self.seconds < _DAY_S:
            return text("time.hours", language, hours=minutes // 60, minutes=minutes % 60)
        return text("time.days", language, days=round(self.seconds / _DAY_S, 1))


@dataclass(frozen=True, slots=True)
class Word:
    """A text of the catalogue as a value in another one."""

    key: str

    def text(self, language: Language) -> str:
        return text(self.key, language) if self.key in catalogue() else self.key.rpartition(".")[2]


def size(count: float) -> str:
    """Return a number of bytes with three digits at most, such as "1.5 GB"."""
    step = 0
    while count >= 999.5 and step < len(_UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{count:.{0 if step == 0 or count >= 99.95 else 1}f} {_UNITS[step]}"


def clock(seconds: float) -> str:
    """Return a duration or a position in a video: ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
