"""The settings of a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from daemon.config.fields import number
from engines.settings import Section


class ClusterSettings(Section):
    """Where workers run: on this machine, or on the nodes of a Ray cluster, which needs the extra `cluster`."""

    engine: Annotated[
        Literal["local", "ray"],
        Field(description="local: worker processes of this machine; ray: those of all nodes of a cluster"),
    ] = "local"
    address: Annotated[
        str,
        Field(
            pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$",
            description="Host name or IPv4 address of the cluster's head, or of any host in its private network; needed"
            " for ray. Which host is the head now stands on the share",
        ),
    ] = ""
    token_file: Annotated[
        Path, Field(description="File with the cluster's token, the same on all nodes; only the service may read it")
    ] = Path("/etc/dualface/cluster.token")
    port: Annotated[
        int,
        number(
            "First of 120 TCP ports in a row that a node listens on; the head's is the first", "port", ge=1024, le=65000
        ),
    ] = 9480
    dashboard: Annotated[
        bool, Field(description="Start Ray's dashboard on the head, at 127.0.0.1; it needs ray[default]")
    ] = False
    split: Annotated[
        Literal["auto", "never", "always"],
        Field(
            description="Whether one recording is worked on in parts side by side, with the same result: auto splits"
            " it when places are free and it is long enough to gain"
        ),
    ] = "auto"
    chunk_s: Annotated[float, number("Length of a part of a recording that is split", "s", ge=10, le=3600)] = 60.0
    class_wait_s: Annotated[
        float,
        number(
            "How long an interrupted job waits for a node with the hardware and software that it began on; then it"
            " starts anew on another",
            "s",
            ge=0,
            le=30 * 86400,
        ),
    ] = 900.0

    @field_validator("token_file")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return Path(os.path.normpath(path.expanduser().absolute()))
