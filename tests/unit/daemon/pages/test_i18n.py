"""The catalogue: every text in every language, with the same names in it, and every error that a user can see."""

from __future__ import annotations

import importlib
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import Markup

import daemon
from daemon.inbox.scanner import SkipReason
from daemon.pages.i18n import LANGUAGES, Duration, Translator, Word, catalogue, clock, languages, size, text
from daemon.remedies import check_of, doctor_hint, remedy_of
from engines.errors import ExplainedError
from pipeline.degradation.level_ladder import LADDER, TriggerKind

NO_JOBS = ("CONFIG_INVALID", "APPRISE_MISSING")  # codes that no file ever fails with
TEMPLATES = Path(daemon.__file__).parent / "pages" / "templates"
ERRORS_OF_JOBS = (
    "engines.errors",
    "engines.media.verify",
    "engines.inference.onnxruntime",
    "pipeline.errors",
    "pipeline.rendering.encoder_factory",
    "pipeline.corrections",
    "daemon.errors",
    "daemon.inbox.arrivals",
    "pipeline.joining",
)


def names_in(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("key", sorted(catalogue()))
def test_every_text_is_there_in_every_language(key: str) -> None:
    texts = catalogue()[key]
    assert set(texts) == set(LANGUAGES)
    assert len({bool(words) for words in texts.values()}) == 1, "one language is silent"
    assert len({frozenset(names_in(words)) for words in texts.values()}) == 1, "one language lacks a value"


def test_korean_is_korean() -> None:
    latin_only = {key for key, texts in catalogue().items() if texts["ko"] and not re.search("[가-힣]", texts["ko"])}
    assert latin_only == {"on_host", "page.title"}


def test_templates_and_code_use_only_what_is_there_and_all_of_it() -> None:
    sources = [path.read_text() for path in (*TEMPLATES.glob("*.j2"), *Path(daemon.__file__).parent.rglob("*.py"))]
    used = {key for source in sources for key in re.findall(r"""(?:\bt|text|word|Word)\(f?"([\w.]+)["{]""", source)}
    families = {key for key in used if key.endswith((".", "_"))}
    families |= {f"{family}." for source in sources for family in re.findall(r"""\bt\.of\("(\w+)",""", source)}
    assert {key for key in used - families if key not in catalogue()} == set()
    assert {key for key in set(catalogue()) - used if not key.startswith((*families, "error."))} == set()


def test_states_stages_levels_and_refusals_have_words() -> None:
    states = (
        "starting",
        "idle",
        "working",
        "paused",
        "draining",
        "drained",
        "low_space",
        "share_away",
        "stopping",
        "stopped",
    )
    wanted = [
        *(f"state.{state}" for state in (*states, "silent")),
        *(f"why.{state}" for state in states if state != "working"),
        *(f"stage.{stage}" for stage in ("start", "probe", "render", "listen", "assemble", "verify", "debug")),
        *(f"level.{level}" for level in LADDER),
        *(f"means.{level}" for level in LADDER[1:]),
        *(f"trip.{kind}" for kind in TriggerKind),
        *(f"ignored.{refusal.name}" for refusal in SkipReason),
    ]
    assert [key for key in wanted if key not in catalogue()] == []


def errors() -> Iterator[type[ExplainedError]]:
    for name in ERRORS_OF_JOBS:
        members = vars(importlib.import_module(name)).values()
        kinds = [m for m in members if isinstance(m, type) and issubclass(m, ExplainedError) and m.__module__ == name]
        yield from (kind for kind in kinds if "code" in vars(kind) and kind.code not in NO_JOBS)


@pytest.mark.parametrize("error", list(errors()), ids=lambda error: error.code)
def test_every_error_of_a_job_is_explained(error: type[ExplainedError]) -> None:
    assert f"error.{error.code}.what" in catalogue(), "describe the error and its remedy in daemon/pages/words.yaml"
    example = error("It happened.")
    hint = f" {doctor_hint(check_of(example))}"
    assert text(f"error.{error.code}.do", "en") == remedy_of(example).removesuffix(hint)


def test_values_are_escaped_and_speak_the_language() -> None:
    both = Translator(languages("auto"))
    assert both("running.left", time=Duration(120)) == (
        '<span lang="en">about 2 min left</span><span lang="ko">약 2분 남음</span>'
    )
    assert Translator(languages("ko"))("level.detail", reason="<b>") == "자세한 내용: &lt;b&gt;"
    assert Translator(("en",))("updated", time=Markup("<time>")) == "Updated <time>"
    assert Translator(("en",))("page.title", state=Word("state.idle")) == "Ready: dualface"


def test_an_error_without_words_is_told_in_english() -> None:
    both = Translator(languages("auto"))
    assert both.error("NEW_CODE", "what", "a < b") == "a &lt; b"
    assert "Cut &lt;it&gt;." in both.error("TOO_LONG", "do", "Cut <it>.")
    assert "나누어" in both.error("TOO_LONG", "do", "Cut it.")


@pytest.mark.parametrize(
    ("seconds", "english", "korean"),
    [
        (3, "less than a minute", "1분 미만"),
        (760, "13 min", "13분"),
        (4210, "1 h 10 min", "1시간 10분"),
        (3599, "1 h 0 min", "1시간 0분"),
        (200000, "2.3 days", "2.3일"),
    ],
)
def test_time_spans(seconds: float, english: str, korean: str) -> None:
    assert (Duration(seconds).text("en"), Duration(seconds).text("ko")) == (english, korean)


def test_sizes_and_lengths() -> None:
    assert [size(n) for n in (0, 999, 1000, 99_949, 99_950, 2_460_480, 3e15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "99.9 kB",
        "100 kB",
        "2.5 MB",
        "3.0 PB",
    ]
    assert [clock(s) for s in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]
