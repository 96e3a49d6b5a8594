"""The values of all metrics: written by the service's loop, read by the exporter.

Workers count most of them, and the service adds the counts up here. So this is a custom collector of Prometheus's
client library, which formats the values (prometheus.io, "Writing exporters").
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, TypeAlias

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.telemetry.counters import Histogram

OTHER = "OTHER"
_MOST_VALUES = 64  # of a label without a list of values, so that the memory of Prometheus cannot fill up

Labels: TypeAlias = tuple[str, ...]
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """The definition of one metric.

    Attributes:
        name: as in the exposition; that of a counter ends in ``_total``.
        labels: the permitted values of each label by its name; an empty tuple permits any, up to a number.
        bounds: upper bounds of a histogram's buckets, without infinity.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()

    def allows(self, labels: Labels) -> bool:
        """Whether the label values are permitted, in the order of ``self.labels``."""
        listed = zip(self.labels.values(), labels, strict=True)
        return all(not values or value in values for values, value in listed)

    def family(self) -> Family:
        """Return an empty metric family for the client library."""
        names = list(self.labels)
        if self.kind == "counter":
            return CounterMetricFamily(self.name, self.help, labels=names)
        if self.kind == "gauge":
            return GaugeMetricFamily(self.name, self.help, labels=names)
        return HistogramMetricFamily(self.name, self.help, labels=names)


class MetricsRegistry(Collector):
    """The values of all metrics. Counters start at 0 for each listed label value; a gauge is absent until it is set."""

    def __init__(self, definitions: tuple[MetricDefinition, ...]) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}
        self._definitions = {definition.name: definition for definition in definitions}
        for definition in definitions:
            self._initialize(definition)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Add to a counter.

        Raises:
            ValueError: the amount is negative.
        """
        if by < 0:
            raise ValueError(f"{name} cannot count {by}")
        with self._lock:
            numbers = self._numbers[name]
            labels = self._bounded(name, labels, numbers)
            numbers[labels] = numbers.get(labels, 0.0) + by

    def set(self, name: str, value: float | None, *labels: str) -> None:
        """Set a gauge; None removes it."""
        with self._lock:
            numbers = self._numbers[name]
            if value is None:
                numbers.pop(labels, None)
            else:
                numbers[self._bounded(name, labels, numbers)] = value

    def replace(self, name: str, values: Mapping[Labels, float]) -> None:
        """Set a gauge for these label values, and remove it for all others."""
        with self._lock:
            self._numbers[name] = dict(values)

    def histogram(self, name: str, more: Histogram, *labels: str) -> None:
        """Add the counts of a worker to a histogram."""
        with self._lock:
            histograms = self._histograms[name]
            labels = self._bounded(name, labels, histograms)
            histograms.setdefault(labels, Histogram.over(self._definitions[name].bounds)).add(more)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics that have a value, for the client library."""
        for definition in self._definitions.values():
            with self._lock:
                family = self._filled(definition)
            if family.samples:
                yield family

    def _initialize(self, definition: MetricDefinition) -> None:
        labels = _combinations(list(definition.labels.values()))
        self._numbers[definition.name] = dict.fromkeys(labels, 0.0) if definition.kind == "counter" else {}
        histograms = (
            {each: Histogram.over(definition.bounds) for each in labels} if definition.kind == "histogram" else {}
        )
        self._histograms[definition.name] = histograms

    def _bounded(self, name: str, labels: Labels, known: Mapping[Labels, object]) -> Labels:
        """Return the labels, or OTHER for each if they are not permitted or too many."""
        if self._definitions[name].allows(labels) and (labels in known or len(known) < _MOST_VALUES):
            return labels
        return (OTHER,) * len(labels)

    def _filled(self, definition: MetricDefinition) -> Family:
        family = definition.family()
        if isinstance(family, HistogramMetricFamily):
            names = [*(str(float(bound)) for bound in definition.bounds), "+Inf"]
            for labels, histogram in self._histograms[definition.name].items():
                family.add_metric(labels, list(zip(names, accumulate(histogram.counts), strict=True)), histogram.sum)
        else:
            for labels, value in self._numbers[definition.name].items():
                family.add_metric(labels, value)
        return family


def _combinations(listed: list[tuple[str, ...]]) -> list[Labels]:
    """Return all combinations of listed label values; none if a label permits any value."""
    combinations: list[Labels] = [()]
    for values in listed:
        combinations = [(*labels, value) for labels in combinations for value in values]
    return combinations
