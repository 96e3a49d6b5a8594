"""Names of all folders and files that the service uses on the share."""

from __future__ import annotations

# In the share's root; every inbox has the name that the configuration gives it.
INBOX_DIR = "inbox"  # by default
OUTBOX_DIR = "outbox"
FAILED_DIR = "failed"
ORIGINALS_DIR = "originals"
STATE_DIR = ".dualface"
RESERVED_DIRS = (OUTBOX_DIR, FAILED_DIR, ORIGINALS_DIR, STATE_DIR)
PAUSE_FILE = "PAUSE"

# In STATE_DIR
SENTINEL = "share.json"
JOBS_DIR = "jobs"
FINISHED_DIR = "finished"
HOSTS_DIR = "hosts"
NODES_DIR = "nodes"  # of a cluster: a description of each
CLUSTER_FILE = "cluster.json"
HEAD_DIR = "head"  # holds the lease of the cluster's head

# In HOSTS_DIR: the host's name and one of these
HOST_STATUS_SUFFIX = ".json"
HOST_LOCK_SUFFIX = ".lock"
DRAIN_SUFFIX = ".drain"

# In a job's directory, besides the files of the pipeline
MANIFEST = "job.json"
SOURCE = "source"
SIDECAR = "sidecar.yaml"
PART = "part-"  # and the four-digit number of a part of the recording, from 0002
LEASE_FILE = "lease.json"
LOCK_FILE = "lock"  # held by the job's worker process
PUBLISHED_REPORT = "published.report.json"
FAILURE_REPORT = "failure.report.json"

# In the outbox
STATUS_JSON = "status.json"
STATUS_HTML = "status.html"
OUTPUT_MARK = ".dual"  # between the recording's name and the suffixes of pipeline.workdir

# Beside a recording
SIDECAR_SUFFIX = ".dualface.yaml"
FAILURE_REPORT_SUFFIX = ".report.json"  # in FAILED_DIR
