"""The settings of Ray that all its processes must share, as environment variables and ports.

Ray's own defaults notice a node that was cut off only after minutes.
"""

from __future__ import annotations

from pathlib import Path

PORTS = 120  # from the first one on
NODE_LABEL, SESSION_LABEL = "dualface-node", "dualface-session"

_VARIABLES = {
    "RAY_grpc_client_keepalive_time_ms": "5000",
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_memory_monitor_refresh_ms": "0",  # workers have limits of their own
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the order names the GPU
}
_PORT_OPTIONS = (
    "--node-manager-port",
    "--object-manager-port",
    "--runtime-env-agent-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--metrics-export-port",
)


def variables(token_file: Path) -> dict[str, str]:
    """Return the environment variables of every process that takes part in the cluster."""
    return {**_VARIABLES, "RAY_AUTH_TOKEN_PATH": str(token_file)}


def port_options(first: int) -> list[str]:
    """Return the options of ``ray start`` that fix all ports; the first one is left to the head's own."""
    fixed = [f"{option}={first + number}" for number, option in enumerate(_PORT_OPTIONS, start=1)]
    workers = first + len(_PORT_OPTIONS) + 2, first + PORTS - 1
    return [*fixed, f"--min-worker-port={workers[0]}", f"--max-worker-port={workers[1]}"]
