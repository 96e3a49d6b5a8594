"""Assignment of sidecars to recordings by their names.

A sidecar is called NAME.dualface.yaml. Desktops hide and add extensions and write other Unicode forms, so similar names
are accepted: NAME.dualface.yml, NAME.dualface.yaml.txt, NAME.mp4.dualface.yaml, name.DualFace.YAML.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable
from pathlib import PurePath

from daemon.errors import SidecarUnclearError
from daemon.share.naming import folded, printable, sidecar_name

_SIMILAR = re.compile(r"(?P<base>.+)\.dualface(?:[. ].*)?", re.DOTALL)
_FOLDER = re.compile(r".+\.dualface\.ya?ml", re.DOTALL)


def is_sidecar(name: str, *, is_folder: bool = False) -> bool:
    """Return whether a name is that of a sidecar, or similar; the rule for folders is stricter."""
    return bool((_FOLDER if is_folder else _SIMILAR).fullmatch(folded(name)))


def base_key(sidecar: str) -> str:
    """Return what the path of a sidecar has in common with that of its recording (see ``recording_keys``)."""
    path = PurePath(sidecar)
    match = _SIMILAR.fullmatch(folded(path.name))
    return os.path.join(path.parent, match["base"] if match else "")  # noqa: PTH118 - plain text is a key


def recording_keys(recording: str) -> tuple[str, str]:
    """Return what the path of a recording may have in common with its sidecars: without and with extension."""
    path = PurePath(recording)
    stem = os.path.splitext(path.name)[0]  # noqa: PTH122 - Path would drop a trailing dot
    return os.path.join(path.parent, folded(stem)), os.path.join(path.parent, folded(path.name))  # noqa: PTH118


def beside(recording: str, names: Collection[str]) -> list[str]:
    """Return the sidecars of a recording among the names of its folder.

    A sidecar with the exact name for another file belongs to that file.
    """
    keys, exact = recording_keys(recording), sidecar_name(recording)
    near = {name for name in names if is_sidecar(name) and base_key(name) in keys}
    others = {sidecar_name(name) for name in names if name not in near}
    return sorted(name for name in near if name == exact or name not in others)


def unclear(sidecars: Iterable[str]) -> SidecarUnclearError:
    """Return the error for a recording with several sidecars."""
    names = ", ".join(printable(PurePath(path).name) for path in sidecars)
    return SidecarUnclearError(f"Several corrections files are for this recording: {names}.")


def fault_of(mode: int) -> str:
    """Return what a sidecar is if it is not a regular file, else ""."""
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a link" if stat.S_ISLNK(mode) else "no regular file"
