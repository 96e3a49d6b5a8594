"""The manifest as JSON.

Two keys have other names than the attributes: manifests of all versions must stay readable.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from daemon.jobs import manifest_checks
from daemon.jobs.manifest import FORMAT, JobState, Manifest, Move
from daemon.share.rename import FileMark

_KEYS = {"gpu": "card", "consecutive_failures": "strikes"}


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as ASCII JSON; ``json`` escapes lone surrogates, which faster encoders refuse."""
    body = {_KEYS.get(name, name): value for name, value in asdict(manifest).items()}
    return json.dumps(body, indent=1).encode("ascii")


def decode(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        ValueError: it is damaged, has another format, or names a path outside the share's folders.
    """
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise ValueError(f"manifest of format {body['format']}")
        keys = {field.name: _KEYS.get(field.name, field.name) for field in fields(Manifest)}
        body = {name: body[key] for name, key in keys.items() if key in body}
        body["state"] = JobState(body["state"])
        for name in ("source", "checkpoint"):
            body[name] = FileMark(**body[name]) if body[name] else None
        body["part_marks"] = [FileMark(**mark) for mark in body.get("part_marks", [])]
        for name in ("publish", "retire"):
            body[name] = [Move(**{**move, "mark": FileMark(**move["mark"])}) for move in body[name]]
        manifest = Manifest(**body)
        manifest_checks.check(manifest)
    except (KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ValueError(f"damaged manifest: {exc}") from exc
    return manifest
