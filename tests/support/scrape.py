"""What Prometheus would read from a service on this machine."""

from __future__ import annotations

import random
import socket
import urllib.request
from contextlib import suppress

from prometheus_client.parser import text_string_to_metric_families


def free_port() -> int:
    """One that stays free: outgoing connections take theirs from 32768 on (net.ipv4.ip_local_port_range)."""
    while True:
        port = random.randrange(16_384, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Scrape:
    """One reading of the endpoint."""

    def __init__(self, port: int) -> None:
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        families = list(text_string_to_metric_families(text))
        self.kinds = {family.name + "_total" * (family.type == "counter"): family.type for family in families}
        self._samples = [sample for family in families for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of all samples with that name and these labels."""
        found = [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]
        assert found, f"no {name}{labels}"
        return sum(found)

    def has(self, name: str) -> bool:
        return any(sample.name == name for sample in self._samples)

    def counters(self) -> dict[tuple[str, str], float]:
        rising = ("_total", "_count", "_sum", "_bucket")
        return {(s.name, str(s.labels)): s.value for s in self._samples if s.name.endswith(rising)}
