"""Parses settings from the command line: ``--set KEY=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from daemon.config.settings import Settings
from daemon.config.sources import parse_value
from daemon.errors import ConfigError


class AssignmentError(ConfigError):
    code = "WRONG_ASSIGNMENT"
    remedy = "Write it as KEY=VALUE, for example --set crf=18."


def parse(assignments: Iterable[str], profile: str) -> dict[str, Any]:
    """Return dotted keys and values. A key outside of all sections of the configuration belongs to the profile.

    Raises:
        AssignmentError: one is not of the form KEY=VALUE.
    """
    return dict(_parse(assignment, profile) for assignment in assignments)


def _parse(assignment: str, profile: str) -> tuple[str, Any]:
    key, sign, text = (part.strip() for part in assignment.partition("="))
    if not (key and sign):
        raise AssignmentError(f"'{assignment}' is no assignment")
    try:
        value = parse_value(text)
    except yaml.YAMLError as error:
        raise AssignmentError(f"The value of '{assignment}' is not YAML", remedy="Put it in quotes.") from error
    section = key.split(".")[0]
    return (key if section in Settings.model_fields else f"profiles.{profile}.{key}"), value
