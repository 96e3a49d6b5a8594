"""What pages say, in every language, from the one catalogue ``words.yaml``."""

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
    """Those that a page must hold for ``status.language``: all where the reader's browser chooses."""
    return tuple(language for language in LANGUAGES if choice in ("auto", language))


@cache
def catalogue() -> dict[str, dict[Language, str]]:
    """All texts: key, then language."""
    text = resources.files("daemon").joinpath("words.yaml").read_text("utf-8")
    loaded: dict[str, dict[Language, str]] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded


def text(key: str, language: Language, **values: Any) -> str:
    """One text, not escaped, with its names filled in.

    Raises:
        KeyError: the catalogue has no such text, or it wants a value that is not given.
    """
    return catalogue()[key][language].format(**_spoken(values, language))


def _spoken(values: dict[str, Any], language: Language) -> dict[str, Any]:
    return {name: value.words(language) if isinstance(value, Span | Word) else value for name, value in values.items()}


class Speaker:
    """Puts texts into a page: one language plainly, several side by side for the page's script to choose from."""

    def __init__(self, spoken: Sequence[Language]) -> None:
        self.languages = tuple(spoken)

    def __call__(self, key: str, **values: Any) -> Markup:
        """HTML of a text; values are escaped, unless they are ``Markup`` themselves."""
        return self._beside({language: _filled(key, language, values) for language in self.languages})

    def error(self, code: str, part: Literal["what", "do"], english: str) -> Markup:
        """What an error is, or what to do about it, in words of the catalogue.

        Args:
            english: what the program itself says: for a code that the catalogue does not know, and as the English
                remedy, which may be more precise than the code's.
        """
        key = f"error.{code}.{part}"
        if key not in catalogue():
            return Markup.escape(english)
        said = {language: Markup.escape(text(key, language)) for language in self.languages}
        if part == "do" and english and "en" in said:
            said["en"] = Markup.escape(english)
        return self._beside(said)

    def both(self, english: str, korean: str) -> Markup:
        """HTML of a sentence that comes in all languages at once; it is escaped."""
        said: dict[Language, str] = {"en": english, "ko": korean}
        return self._beside({language: Markup.escape(said[language]) for language in self.languages})

    def _beside(self, said: dict[Language, Markup]) -> Markup:
        if len(said) == 1:
            return said[self.languages[0]]
        return Markup("").join(Markup('<span lang="{}">{}</span>').format(*pair) for pair in said.items())

    def of(self, family: str, name: str, **values: Any) -> Markup:
        """HTML of a text whose name comes from elsewhere; the bare name where the catalogue does not know it."""
        key = f"{family}.{name}"
        return self(key, **values) if key in catalogue() else Markup.escape(name.replace("_", " "))


def _filled(key: str, language: Language, values: dict[str, Any]) -> Markup:
    return Markup.escape(catalogue()[key][language]).format(**_spoken(values, language))


@dataclass(frozen=True, slots=True)
class Span:
    """A time span as people say it: rough where it is long."""

    seconds: float

    def words(self, language: Language) -> str:
        """In this language, such as "12 min"."""
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
    """A text of the catalogue inside another one."""

    key: str

    def words(self, language: Language) -> str:
        return text(self.key, language) if self.key in catalogue() else self.key.rpartition(".")[2]


def size(count: float) -> str:
    """Bytes as people write them: three digits at most."""
    step = 0
    while count >= 999.5 and step < len(_UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{count:.{0 if step == 0 or count >= 99.95 else 1}f} {_UNITS[step]}"


def clock(seconds: float) -> str:
    """A length or a place in a video: ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
