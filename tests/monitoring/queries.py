"""The queries of the rules and of the dashboard, and which metrics and labels they use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "monitoring"
RULES = FOLDER / "dualface-alerts.yml"
DASHBOARD = FOLDER / "dualface-dashboard.json"


@dataclass(frozen=True, slots=True)
class Query:
    """One query; ``where`` names the panel or alert."""

    where: str
    text: str

    def selectors(self) -> list[tuple[str, str]]:
        """The metrics that it reads, as the exposition names their samples, and their label matchers."""
        return re.findall(r"\b(dualface_\w+)(?:\{([^}]*)\})?", self.text)

    def with_variables(self, *, rate_interval: str) -> str:
        """What Grafana would send for all instances."""
        return self.text.replace("$__rate_interval", rate_interval).replace("$instance", ".*")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def dashboard_queries() -> list[Query]:
    shown = dashboard()
    panels = [Query(panel["title"], target["expr"]) for panel in shown["panels"] for target in panel.get("targets", [])]
    return [*panels, *(Query(note["name"], note["expr"]) for note in shown["annotations"]["list"])]


def all_queries() -> list[Query]:
    return [*dashboard_queries(), *(Query(rule["alert"], rule["expr"]) for rule in rules())]
