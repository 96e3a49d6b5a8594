"""Checks of metrics and notifications. The service works without them."""

from __future__ import annotations

import json
import time
import urllib.request
from ipaddress import ip_address
from pathlib import Path
from urllib.error import HTTPError

from daemon.config.settings import MetricsSettings
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, not_applicable, ok, warning
from daemon.remedies import remedy_of
from daemon.worker.subprocess_call import AnsweredError, ChildFailedError, ask

_ANSWER_S = 5.0
_LOAD_S = 60.0  # Apprise is large
_LOOK = "`journalctl -u dualface` has the lines `metrics cannot be shown` with reason and remedy; docs/metrics.md."


@check("metrics")
def metrics(context: Context) -> Finding:
    """Prometheus reads the metrics over HTTP, or from a file through node_exporter."""
    settings = context.settings.metrics
    faults = [*_http_faults(settings), *_file_faults(settings)]
    if faults:
        return warning(" ".join(faults), _LOOK)
    shown = [_url(settings)] * settings.http + [settings.textfile] * bool(settings.textfile)
    return ok(f"Shown at {' and '.join(shown)}.") if shown else not_applicable("Off: see metrics.http.")


def _url(settings: MetricsSettings) -> str:
    address = ip_address(settings.address)
    if address.is_unspecified:
        address = ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{f'[{address}]' if address.version == 6 else address}:{settings.port}/metrics"


def _http_faults(settings: MetricsSettings) -> list[str]:
    if not settings.http:
        return []
    try:
        with urllib.request.urlopen(_url(settings), timeout=_ANSWER_S) as answer:
            is_ours = b"\ndualface_up " in answer.read(1 << 20)
    except HTTPError:
        is_ours = False
    except OSError as error:
        return [f"Nothing answers at {_url(settings)} ({error}): the service does not run, or may not listen."]
    return [] if is_ours else [f"Another program answers at {_url(settings)}."]


def _file_faults(settings: MetricsSettings) -> list[str]:
    if not settings.textfile:
        return []
    try:
        age_s = time.time() - Path(settings.textfile).stat().st_mtime
    except OSError as error:
        return [f"{settings.textfile} cannot be read: {error.strerror}."]
    return [f"{settings.textfile} is {age_s:.0f} s old."] if age_s > 3 * settings.interval_s + 10 else []


@check("notifications")
def notifications(context: Context) -> Finding:
    """Notifications are sent through Apprise to the URLs in notify.urls. This checks the URLs and sends nothing."""
    urls = {str(number): url for number, url in enumerate(context.settings.notify.urls, start=1)}
    if not urls:
        return not_applicable("Off: notify.urls is empty.")
    order = json.dumps({"urls": urls, "timeout_s": _LOAD_S}).encode()
    try:
        failed = ask("daemon.observability.apprise_sender", (), timeout_s=_LOAD_S, account=context.account, stdin=order)
    except (AnsweredError, ChildFailedError) as error:
        return warning(error.message, remedy_of(error))
    if failed:
        reasons = "; ".join(f"number {number}: {reason}" for number, reason in failed.items())
        return warning(f"Not usable in notify.urls: {reasons}.", "Correct these URLs; see Apprise's documentation.")
    return ok(f"{len(urls)} URLs have a known form; only a message shows whether they work.")
