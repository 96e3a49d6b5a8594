"""Holds the numbers that are shown to Prometheus: written by the service's loop, read by whoever exports them.

Much of it is counted in worker processes and only added up here, which is what Prometheus calls a custom collector
(prometheus.io, "Writing exporters"). Its own client library turns the numbers into text.
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
_MOST_VALUES = 64  # of a label without a list of values: whatever sends them cannot fill the memory of Prometheus

Labels: TypeAlias = tuple[str, ...]
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """The definition of one metric.

    Attributes:
        name: as in the exposition; a counter's ends in ``_total``.
        labels: by name, the values that each may have; an empty tuple leaves them open, up to a bound.
        bounds: upper bounds of a histogram's buckets, without the infinite one.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()

    def allows(self, labels: Labels) -> bool:
        listed = zip(self.labels.values(), labels, strict=True)
        return all(not values or value in values for values, value in listed)

    def family(self) -> Family:
        names = list(self.labels)
        if self.kind == "counter":
            return CounterMetricFamily(self.name, self.help, labels=names)
        if self.kind == "gauge":
            return GaugeMetricFamily(self.name, self.help, labels=names)
        return HistogramMetricFamily(self.name, self.help, labels=names)


class Meters(Collector):
    """The values of all metrics. A counter begins at 0 for every listed label value; a gauge is absent until set."""

    def __init__(self, definitions: tuple[MetricDefinition, ...]) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}
        self._definitions = {meter.name: meter for meter in definitions}
        for meter in definitions:
            self._begin(meter)

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
        """Set a gauge; None takes it away."""
        with self._lock:
            numbers = self._numbers[name]
            if value is None:
                numbers.pop(labels, None)
            else:
                numbers[self._bounded(name, labels, numbers)] = value

    def replace(self, name: str, values: Mapping[Labels, float]) -> None:
        """Set a gauge for these labels and no others."""
        with self._lock:
            self._numbers[name] = dict(values)

    def histogram(self, name: str, more: Histogram, *labels: str) -> None:
        """Add the counts of another process to a histogram."""
        with self._lock:
            histograms = self._histograms[name]
            labels = self._bounded(name, labels, histograms)
            histograms.setdefault(labels, Histogram.over(self._definitions[name].bounds)).add(more)

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for."""
        for meter in self._definitions.values():
            with self._lock:
                family = self._filled(meter)
            if family.samples:
                yield family

    def _begin(self, meter: MetricDefinition) -> None:
        labels = _every(list(meter.labels.values()))
        self._numbers[meter.name] = dict.fromkeys(labels, 0.0) if meter.kind == "counter" else {}
        histograms = {each: Histogram.over(meter.bounds) for each in labels} if meter.kind == "histogram" else {}
        self._histograms[meter.name] = histograms

    def _bounded(self, name: str, labels: Labels, known: Mapping[Labels, object]) -> Labels:
        """The labels, or OTHER in place of all where they are not foreseen or too many by now."""
        if self._definitions[name].allows(labels) and (labels in known or len(known) < _MOST_VALUES):
            return labels
        return (OTHER,) * len(labels)

    def _filled(self, meter: MetricDefinition) -> Family:
        family = meter.family()
        if isinstance(family, HistogramMetricFamily):
            names = [*(str(float(bound)) for bound in meter.bounds), "+Inf"]
            for labels, histogram in self._histograms[meter.name].items():
                family.add_metric(labels, list(zip(names, accumulate(histogram.counts), strict=True)), histogram.sum)
        else:
            for labels, value in self._numbers[meter.name].items():
                family.add_metric(labels, value)
        return family


def _every(listed: list[tuple[str, ...]]) -> list[Labels]:
    """All combinations of listed label values; none where a label is open."""
    combinations: list[Labels] = [()]
    for values in listed:
        combinations = [(*labels, value) for labels in combinations for value in values]
    return combinations
