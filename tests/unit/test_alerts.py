"""The alerts that operators get: about metrics that there are, each with a section in the runbook."""

import re
from pathlib import Path

import yaml
from prometheus_client import REGISTRY

import kindred.telemetry  # noqa: F401  # registers the metrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "monitoring" / "kindred.rules.yaml"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
NAMES = {family.name for family in REGISTRY.collect() if family.name.startswith("kindred_")}


def alerts() -> list[dict[str, object]]:
    """Every alert of the file."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def base(name: str) -> str:
    """A metric's family: without what Prometheus appends to it."""
    return re.sub(r"_(total|bucket|sum|count)$", "", name)


def test_every_alert_is_about_metrics_that_there_are() -> None:
    """No expression names a metric that no process has, and each names one."""
    for alert in alerts():
        named = {base(name) for name in re.findall(r"\bkindred_\w+", str(alert["expr"]))}
        assert named, alert["alert"]
        assert named <= NAMES, alert["alert"]


def test_every_alert_is_in_the_runbook() -> None:
    """Each alert has a heading in the runbook, links to it, and says how bad it is; no heading is without an alert."""
    headings = set(re.findall(r"^## (Kindred\w+)$", RUNBOOK, re.MULTILINE))
    assert {alert["alert"] for alert in alerts()} == headings
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in ("info", "warning", "critical")


def test_every_metric_is_in_the_runbook() -> None:
    """The runbook names every metric."""
    named = {base(name) for name in re.findall(r"`(kindred_\w+)", RUNBOOK)}
    assert named >= NAMES - {"kindred_info"}
