"""The service's settings: safe defaults, ranges, and problems between keys that are all reported at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from daemon.config.settings import Settings


def problems(document: dict[str, Any]) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(document)
    return {error["loc"]: error["msg"] for error in caught.value.errors()}


def test_empty_document_is_a_valid_configuration() -> None:
    settings = Settings.model_validate({})
    assert settings.share.root == Path("/srv/dualface")
    assert [inbox.path for inbox in settings.inboxes] == ["inbox"]
    assert (settings.settle.local_s, settings.settle.nfs_s, settings.settle.smb_s) == (5, 65, 120)
    assert settings.workers.max_attempts == 3
    assert settings.profiles["default"].crf == 20


def test_profile_overrides_some_keys_and_default_stays() -> None:
    settings = Settings.model_validate({"profiles": {"mine": {"crf": 16}}})
    assert settings.profiles["mine"].crf == 16
    assert settings.profiles["mine"].preset == "veryfast"
    assert settings.profiles["default"].crf == 20


def test_all_conflicts_are_reported_at_once() -> None:
    found = problems(
        {
            "inboxes": [
                {"path": "in", "profile": "nope"},
                {"path": "outbox/deeper"},
                {"path": "../elsewhere"},
                {"path": "in/nested"},
                {"path": "."},
            ],
            "leases": {"renew_s": 20, "expire_s": 10},
        }
    )
    assert "no profile 'nope'" in found[("inboxes", 0, "profile")]
    assert "overlaps 'outbox'" in found[("inboxes", 1, "path")]
    assert "inside share.root" in found[("inboxes", 2, "path")]
    assert "overlaps 'in'" in found[("inboxes", 3, "path")]
    assert "inside share.root" in found[("inboxes", 4, "path")]
    assert "leases.renew_s" in found[("leases", "expire_s")]


@pytest.mark.parametrize(
    "document",
    [
        {"shares": {}},
        {"workers": {"concurrent_jobs": 0}},
        {"workers": {"concurrent_jobs": "many"}},
        {"settle": {"local_s": -1}},
        {"scan": {"extensions": []}},
        {"scan": {"extensions": ["a/b"]}},
        {"profiles": {"default": {"crf": 99}}},
    ],
)
def test_out_of_range_or_unknown_is_refused(document: dict[str, Any]) -> None:
    assert problems(document)


def test_braces_in_a_path_do_not_break_the_message() -> None:
    found = problems({"share": {"root": "/srv/{x}"}, "inboxes": [{"path": "../{y}"}]})
    assert "/srv/{x}" in found[("inboxes", 0, "path")]


def test_extensions_are_compared_bare_and_in_lower_case() -> None:
    settings = Settings.model_validate({"scan": {"extensions": [".MP4", "Mov"]}})
    assert settings.scan.extensions == ("mp4", "mov")


def test_absolute_inbox_inside_the_root_is_accepted(tmp_path: Path) -> None:
    document = {"share": {"root": tmp_path}, "inboxes": [{"path": str(tmp_path / "drop")}]}
    settings = Settings.model_validate(document)
    assert settings.inbox_dir(settings.inboxes[0]) == tmp_path / "drop"


def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    kinds = [field.annotation for field in model.model_fields.values()]
    nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [model, *(section for kind in nested for section in sections(kind))]


def test_every_field_has_a_description() -> None:
    for section in sections(Settings):
        for name, field in section.model_fields.items():
            is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            assert is_section or field.description, f"{section.__name__}.{name}"
