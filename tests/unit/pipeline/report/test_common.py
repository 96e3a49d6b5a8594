"""Reports: the checked-in schema is that of the models, and a failure's report obeys it."""

import json
from pathlib import Path

import jsonschema

from pipeline.job import JobSpec
from pipeline.report.common import failure_report
from pipeline.report.model import Failure, json_schema

SCHEMA = Path(__file__).parents[4] / "configs" / "report.schema.json"


def test_the_checked_in_schema_is_that_of_the_models():
    """After a change: python -m pipeline.report.model > configs/report.schema.json"""
    assert json.loads(SCHEMA.read_text()) == json_schema()


def test_a_failure_is_explained_in_the_same_format(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    spec = JobSpec("job", source, "inbox/<talk>.mp4", tmp_path)
    failure = Failure(code="TRUNCATED", message="The end is missing.", remedy="Copy it again.", retryable=False)
    report = failure_report(spec, failure)
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert report["status"] == "failed"
    assert report["input"]["path"] == "inbox/<talk>.mp4"
    assert report["input"]["bytes"] == 3
    assert report["error"] == {
        "code": "TRUNCATED",
        "message": "The end is missing.",
        "remedy": "Copy it again.",
        "retryable": False,
    }
