"""The settings of the service, as models that validate dictionaries from YAML or the environment.

Every key has a safe default, so an empty document is a valid configuration. Conflicts between keys (an inbox
that names a missing profile, overlapping folders) are all reported in one run, each under its own key.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from daemon.config.cluster import ClusterSettings
from daemon.config.fields import number
from daemon.config.profiles import completed
from daemon.layout import INBOX_DIR, RESERVED_DIRS
from engines.settings import DeviceSettings, LimitsSettings, Section
from pipeline.settings import DegradationSettings, ProfileSettings, SegmentSettings

_VIDEO_EXTENSIONS = (
    "mp4",
    "mov",
    "m4v",
    "mkv",
    "webm",
    "avi",
    "mpg",
    "mpeg",
    "ts",
    "mts",
    "m2ts",
    "mxf",
    "wmv",
    "flv",
    "3gp",
    "3g2",
    "ogv",
    "ogm",
    "vob",
    "mod",
    "m2t",
    "mpv",
    "asf",
    "dv",
    "f4v",
    "insv",
)


class ShareSettings(Section):
    """The shared folder that everything happens in."""

    root: Annotated[
        Path, Field(description="Folder that holds the inboxes, outbox, failed, originals and .dualface")
    ] = Path("/srv/dualface")
    low_bytes: Annotated[
        int,
        number("Free space under which nothing new is started", "bytes", ge=0, le=2**50),
    ] = 2**30
    resume_bytes: Annotated[
        int,
        number("Free space from which work is started again", "bytes", ge=0, le=2**50),
    ] = 2 * 2**30

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: Path) -> Path:
        return Path(os.path.normpath(root.expanduser().absolute()))


class InboxSettings(Section):
    """One folder that files are dropped into."""

    path: Annotated[str, Field(min_length=1, description="Folder of the inbox, relative to share.root")] = INBOX_DIR
    profile: Annotated[str, Field(min_length=1, description="Profile that its files are processed with")] = "default"
    priority: Annotated[
        int,
        number("Inboxes with a higher number are served first", "rank", ge=-100, le=100),
    ] = 0


class ScanSettings(Section):
    """How new files are found, and which files are taken."""

    min_interval_s: Annotated[
        float,
        number("Time between two scans while files are arriving", "s", ge=0.05, le=3600),
    ] = 1.0
    max_interval_s: Annotated[
        float,
        number("Time between two scans of an inbox where nothing happens", "s", ge=0.05, le=3600),
    ] = 15.0
    events: Annotated[
        Literal["auto", "off"],
        Field(description="auto lets inotify wake the scan on local disks; network shares are always polled"),
    ] = "auto"
    extensions: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="File name extensions that are taken; others are left alone"),
    ] = _VIDEO_EXTENSIONS
    empty_after_s: Annotated[
        float,
        number("How long a file may stay without content before it is reported as empty", "s", ge=0, le=7 * 86400),
    ] = 600.0

    @field_validator("extensions")
    @classmethod
    def _bare_lower_case(cls, extensions: tuple[str, ...]) -> tuple[str, ...]:
        bare = tuple(extension.strip().lstrip(".").lower() for extension in extensions)
        if not all(extension and "/" not in extension for extension in bare):
            raise ValueError("an extension is a word such as mp4")
        return bare


class SettleSettings(Section):
    """How long a file must stay unchanged before it counts as completely copied."""

    local_s: Annotated[float, number("Quiet time on local disks", "s", ge=0, le=86400)] = 5.0
    nfs_s: Annotated[float, number("Quiet time on NFS", "s", ge=0, le=86400)] = 65.0
    smb_s: Annotated[
        float,
        number("Quiet time on SMB and other network shares", "s", ge=0, le=86400),
    ] = 120.0
    polls: Annotated[
        int,
        number("How often in a row a file must be seen unchanged", "polls", ge=2, le=100),
    ] = 3
    chapters_s: Annotated[
        float,
        number(
            "How long a file that is named like a part of a recording (GoPro, AVCHD, Sony, DJI, Zoom) waits for the"
            " next part after the last change among such files in its folder",
            "s",
            ge=0,
            le=86400,
        ),
    ] = 60.0
    unfinished_s: Annotated[
        float,
        number(
            "How long a file waits that has stopped growing but is incomplete (its end is not written, its index is"
            " missing, a download's marker is beside it); then it is taken as it is",
            "s",
            ge=0,
            le=30 * 86400,
        ),
    ] = 1800.0


class WorkerLimits(Section):
    """What one worker process may take; far above what recordings need, so that a hostile file cannot take all."""

    wall_s: Annotated[
        float,
        number("Time that all attempts on one file may take together", "s", gt=0, le=30 * 86400),
    ] = 2 * 86400.0
    cpu_s: Annotated[
        int,
        number("CPU time of one attempt, summed over its threads", "s", ge=1, le=10**9),
    ] = 10**6
    address_space_bytes: Annotated[
        int,
        number("Address space; 0: no limit. Not set where a GPU is used", "bytes", ge=0, le=2**50),
    ] = 32 * 2**30
    file_bytes: Annotated[
        int,
        number("Largest file that is written", "bytes", ge=2**20, le=2**50),
    ] = 256 * 2**30
    open_files: Annotated[
        int,
        number("Files that are open at once", "files", ge=64, le=2**20),
    ] = 1024


class WorkerSettings(Section):
    """The processes that do the work."""

    concurrent_jobs: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1, le=256)],
        number("Files worked on side by side; auto takes one per four cores", "jobs"),
    ] = "auto"
    max_attempts: Annotated[
        int,
        number("Attempts before a file goes to failed", "attempts", ge=1, le=20),
    ] = 3
    stop_timeout_s: Annotated[
        float,
        number("Time that workers get to finish their segment when the service stops", "s", gt=0, le=3600),
    ] = 75.0
    stall_timeout_s: Annotated[
        float,
        number("Time without any progress after which a worker counts as hung and is replaced", "s", gt=0, le=86400),
    ] = 300.0
    start_timeout_s: Annotated[
        float,
        number("Time that the check of the backend may take when the service starts", "s", gt=0, le=3600),
    ] = 120.0
    nice: Annotated[
        int,
        number("Niceness of workers, so that other programs stay responsive", "nice", ge=0, le=19),
    ] = 5
    limits: WorkerLimits = WorkerLimits()


class RetrySettings(Section):
    """How long work waits after trouble: doubled each time, with a random part."""

    first_s: Annotated[float, number("Wait after the first trouble", "s", gt=0, le=3600)] = 5.0
    longest_s: Annotated[
        float,
        number("Longest wait; after trouble of the share or its disk never more than 30 s", "s", gt=0, le=86400),
    ] = 300.0


class LeaseSettings(Section):
    """How hosts that work on one share show each other that they are alive."""

    host: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Name of this service among those of the share; auto takes the machine's name",
        ),
    ] = "auto"
    renew_s: Annotated[
        float,
        number("Time between two renewals of a job's lease", "s", gt=0, le=3600),
    ] = 10.0
    expire_s: Annotated[
        float,
        number("Time that another host's lease must stand still before its job is taken over", "s", gt=0, le=86400),
    ] = 120.0


class RetentionSettings(Section):
    """What is kept of finished jobs."""

    originals: Annotated[
        Literal["keep", "delete"],
        Field(description="keep: sources stay in originals; delete: they are removed after originals_days"),
    ] = "keep"
    originals_days: Annotated[
        float,
        number("Age at which originals are removed, where that is asked for", "days", ge=0, le=36500),
    ] = 30.0
    state_days: Annotated[
        float,
        number(
            "How long a finished job's segments are kept, so that a correction renders only what changes; 0: not at"
            " all. They take as much space as the delivered video and go first when space is low",
            "days",
            ge=0,
            le=3650,
        ),
    ] = 7.0


class StatusSettings(Section):
    """The status page in the outbox."""

    interval_s: Annotated[
        float,
        number("Least time between two updates of the page", "s", ge=0.1, le=3600),
    ] = 3.0
    finished_listed: Annotated[
        int,
        number("How many finished and failed files the page lists", "files", ge=0, le=1000),
    ] = 50
    language: Annotated[
        Literal["auto", "en", "ko"],
        Field(description="Language of the page and of HTML reports; auto follows the reader's browser"),
    ] = "auto"


class ReportSettings(Section):
    """What is delivered beside NAME.dual.report.json."""

    html: Annotated[
        bool, Field(description="Also deliver NAME.dual.report.html: the report for people, with plots")
    ] = False


class MetricsSettings(Section):
    """Numbers for Prometheus, over HTTP, as a file, or both; docs/metrics.md lists them."""

    http: Annotated[bool, Field(description="Serve metrics at http://ADDRESS:PORT/metrics")] = False
    address: Annotated[
        str,
        Field(description="IP address to listen on; 127.0.0.1 is for this machine only, 0.0.0.0 for everybody"),
    ] = "127.0.0.1"
    port: Annotated[int, number("TCP port to listen on", "port", ge=1, le=65535)] = 9477
    textfile: Annotated[
        str,
        Field(description="File NAME.prom in the folder of node_exporter's textfile collector; empty: none"),
    ] = ""
    interval_s: Annotated[float, number("Time between two updates of the file", "s", ge=1, le=3600)] = 15.0

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        ipaddress.ip_address(address)  # raises an error with the reason
        return address

    @field_validator("textfile")
    @classmethod
    def _is_seen_by_node_exporter(cls, path: str) -> str:
        if path and not (path.startswith("/") and path.endswith(".prom")):
            raise ValueError("the path must begin with / and end with .prom, or node_exporter does not read it")
        return path


class NotifySettings(Section):
    """Messages to people through Apprise, which supports e-mail, chats and many others; needs the extra `notify`."""

    urls: Annotated[
        tuple[str, ...],
        Field(
            description="Where messages go, in the form of Apprise: mailtos://..., slack://..., ntfy://...",
            json_schema_extra={"secret": True},
        ),
    ] = ()
    events: Annotated[
        tuple[Literal["failed", "incomplete", "degraded", "share_away", "low_space", "recovered"], ...],
        Field(description="What is worth a message"),
    ] = ("failed", "incomplete", "degraded", "share_away", "low_space", "recovered")
    throttle_s: Annotated[
        float,
        number(
            "After a message, further ones of its kind are held back for this time and then summed up",
            "s",
            ge=0,
            le=7 * 86400,
        ),
    ] = 900.0
    timeout_s: Annotated[float, number("Time that a server has to take a message", "s", ge=1, le=300)] = 20.0


class LogSettings(Section):
    """What is written to the journal or terminal."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least important kind of line that is written"),
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="auto writes for people on a terminal and JSON lines elsewhere"),
    ] = "auto"


class Settings(Section):
    """The whole configuration of the service."""

    share: ShareSettings = ShareSettings()
    inboxes: Annotated[
        tuple[InboxSettings, ...], Field(min_length=1, description="Folders that files are dropped into")
    ] = (InboxSettings(),)
    scan: ScanSettings = ScanSettings()
    settle: SettleSettings = SettleSettings()
    workers: WorkerSettings = WorkerSettings()
    cluster: ClusterSettings = ClusterSettings()
    retry: RetrySettings = RetrySettings()
    leases: LeaseSettings = LeaseSettings()
    device: DeviceSettings = DeviceSettings()
    segments: SegmentSettings = SegmentSettings()
    degradation: DegradationSettings = DegradationSettings()
    limits: LimitsSettings = LimitsSettings()
    profiles: Annotated[
        dict[str, ProfileSettings],
        Field(
            description="Named processing settings; default, balanced, fast, archive and low-memory always exist, and"
            " a key that is left out takes its value there, in a profile of another name a safe one",
            validate_default=True,
        ),
    ] = {}  # noqa: RUF012 - pydantic copies defaults
    retention: RetentionSettings = RetentionSettings()
    reports: ReportSettings = ReportSettings()
    status: StatusSettings = StatusSettings()
    metrics: MetricsSettings = MetricsSettings()
    notify: NotifySettings = NotifySettings()
    log: LogSettings = LogSettings()

    @field_validator("profiles", mode="before")
    @classmethod
    def _built_in_exist(cls, profiles: Any) -> Any:
        return {"default": {}, **completed(profiles)} if isinstance(profiles, dict) else profiles

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        problems = [*_inbox_problems(self), *_order_problems(self), *_cluster_problems(self)]
        if problems:
            raise ValidationError.from_exception_data(type(self).__name__, problems)
        return self

    def inbox_dir(self, inbox: InboxSettings) -> Path:
        """Return the absolute folder of an inbox, as it is spelled in the configuration."""
        return Path(os.path.normpath(self.share.root / inbox.path))


def _cluster_problems(settings: Settings) -> Iterator[InitErrorDetails]:
    cluster = settings.cluster
    if cluster.engine == "ray" and not cluster.address:
        yield _problem(("cluster", "address"), "", "the engine ray needs an address in the cluster's private network")


def _problem(loc: tuple[str | int, ...], value: Any, message: str) -> InitErrorDetails:
    # PydanticCustomError formats braces; a path may hold some.
    conflict = PydanticCustomError("conflict", "{text}", {"text": message})
    return InitErrorDetails(type=conflict, loc=loc, input=value)


def _inbox_problems(settings: Settings) -> Iterator[InitErrorDetails]:
    root = settings.share.root
    reserved = [(root / name, name) for name in RESERVED_DIRS]
    earlier: list[tuple[Path, str]] = []
    for position, inbox in enumerate(settings.inboxes):
        path = settings.inbox_dir(inbox)
        if inbox.profile not in settings.profiles:
            known = ", ".join(sorted(settings.profiles))
            message = f"there is no profile '{inbox.profile}'; known: {known}"
            yield _problem(("inboxes", position, "profile"), inbox.profile, message)
        if not _contains(root, path) or path == root:
            yield _problem(
                ("inboxes", position, "path"), inbox.path, f"an inbox must be a folder inside share.root ({root})"
            )
        else:
            for other, name in (*reserved, *earlier):
                if _contains(other, path) or _contains(path, other):
                    yield _problem(
                        ("inboxes", position, "path"),
                        inbox.path,
                        f"'{inbox.path}' overlaps '{name}'; give every inbox a folder of its own",
                    )
        earlier.append((path, inbox.path))


def _order_problems(settings: Settings) -> Iterator[InitErrorDetails]:
    pairs = (
        ("share", "low_bytes", "resume_bytes"),
        ("scan", "min_interval_s", "max_interval_s"),
        ("retry", "first_s", "longest_s"),
        ("leases", "renew_s", "expire_s"),
        ("degradation", "cool_down_s", "cool_down_longest_s"),
    )
    for section, low, high in pairs:
        values = getattr(settings, section)
        if getattr(values, low) > getattr(values, high):
            yield _problem((section, high), getattr(values, high), f"must not be less than {section}.{low}")


def _contains(folder: PurePath, path: PurePath) -> bool:
    return path == folder or folder in path.parents
