"""Rules and dashboard ask only for what exists, and the rules fire when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.observability.definitions import DEFINITIONS
from tests.monitoring.queries import FOLDER, RULES, Query, all_queries, dashboard, dashboard_queries, rules

ROOT = FOLDER.parent
PLAYBOOK = ROOT / "recover_playbook.md"
METERS = {meter.name: meter for meter in DEFINITIONS}
SAMPLES = {
    name: meter
    for meter in DEFINITIONS
    for name in ([f"{meter.name}_{part}" for part in ("bucket", "sum", "count")] if meter.bounds else [meter.name])
}
BY_PROMETHEUS = {"instance", "job", "le"}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed; tests/monitoring/run.sh fetches it"
)


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.where)
def test_queries_use_metrics_and_labels_that_exist(query: Query) -> None:
    used = list(query.selectors())
    assert used
    for name, matchers in used:
        assert name in SAMPLES, f"{query.where}: no metric {name}"
        for label, operator, value in re.findall(r"(\w+)(=~|=|!=|!~)\"([^\"]*)\"", matchers):
            known = SAMPLES[name].labels
            assert label in {*known, *BY_PROMETHEUS}, f"{query.where}: {name} has no label {label}"
            values = known.get(label, ())
            assert not values or set(re.split(r"\|", value) if "~" in operator else [value]) <= set(values)
    for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", query.text):
        named = {label.strip() for label in labels.split(",")}
        assert named <= {label for name, _ in used for label in SAMPLES[name].labels} | BY_PROMETHEUS


def test_the_dashboard_shows_every_metric_that_work_depends_on() -> None:
    shown = {SAMPLES[name].name for query in dashboard_queries() for name, _ in query.selectors()}
    only_context = {"dualface_build_info", "dualface_gpu_info", "dualface_job_slots", "dualface_attempts_total"}
    assert set(METERS) - shown == only_context


def test_panels_do_not_overlap_and_are_explained() -> None:
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or {"unit", "min"} <= panel["fieldConfig"]["defaults"].keys()


def test_every_alert_says_what_happened_what_it_means_and_where_to_look() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert len(rule["annotations"]["description"]) > 60
        assert rule["annotations"]["runbook"].startswith(f"{PLAYBOOK.name}#")


@pytest.mark.skipif(not PLAYBOOK.exists(), reason="there is no recover_playbook.md yet")
def test_every_alert_leads_to_a_section_of_the_playbook() -> None:
    headings = re.findall(r"^#+ (.+)$", PLAYBOOK.read_text(encoding="utf-8"), re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    wanted = {rule["annotations"]["runbook"].partition("#")[2] for rule in rules()}
    assert wanted <= anchors


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", str(RULES)],
        ["check", "config", str(FOLDER / "prometheus.yml")],
        ["test", "rules", str(Path(__file__).with_name("rules_test.yml"))],
    ],
    ids=["check rules", "check config", "test rules"],
)
def test_promtool_agrees(command: list[str]) -> None:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_no_alert_could_be_missing(rule: dict[str, str], tmp_path: Path) -> None:
    """The rules' tests notice when any one alert never fires."""
    text = RULES.read_text(encoding="utf-8")
    expression = r"\n\s+expr: (?:\|\n(?:\s{10}.*\n)+|.*\n)"
    never = f"- alert: {rule['alert']}\n        expr: vector(0) > 1\n"
    changed = re.sub(f"- alert: {rule['alert']}{expression}", never, text)
    assert changed != text
    (tmp_path / "monitoring").mkdir()
    (tmp_path / "monitoring" / RULES.name).write_text(changed)
    tests = tmp_path / "tests" / "monitoring" / "rules_test.yml"
    tests.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("rules_test.yml"), tests)
    checked = subprocess.run(["promtool", "check", "rules", tmp_path / "monitoring" / RULES.name], check=False)
    assert checked.returncode == 0
    done = subprocess.run(["promtool", "test", "rules", tests], capture_output=True, check=False)
    assert done.returncode == 1
