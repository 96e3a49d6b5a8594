"""Which file is the sidecar of which recording, by their names.

A sidecar is called NAME.dualface.yaml. Desktops hide endings, add their own and write another Unicode form, so a name
that nearly is one counts, too: NAME.dualface.yml, NAME.dualface.yaml.txt, NAME.mp4.dualface.yaml, name.DualFace.YAML.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable
from pathlib import PurePath

from daemon.errors import SidecarUnclearError
from daemon.share.naming import folded, printable, sidecar_name

_NEARLY = re.compile(r"(?P<base>.+)\.dualface(?:[. ].*)?", re.DOTALL)
_FOLDER = re.compile(r".+\.dualface\.ya?ml", re.DOTALL)


def is_sidecar(name: str, *, is_folder: bool = False) -> bool:
    """Whether a name is, or nearly is, that of a sidecar; a folder's must be closer to it."""
    return bool((_FOLDER if is_folder else _NEARLY).fullmatch(folded(name)))


def base_key(sidecar: str) -> str:
    """What a sidecar's path has in common with that of its recording (see ``recording_keys``)."""
    path = PurePath(sidecar)
    match = _NEARLY.fullmatch(folded(path.name))
    return os.path.join(path.parent, match["base"] if match else "")  # noqa: PTH118 - plain text is a key


def recording_keys(recording: str) -> tuple[str, str]:
    """What a recording's path has in common with those of its sidecars: without extension, and with it."""
    path = PurePath(recording)
    stem = os.path.splitext(path.name)[0]  # noqa: PTH122 - Path would drop a trailing dot
    return os.path.join(path.parent, folded(stem)), os.path.join(path.parent, folded(path.name))  # noqa: PTH118


def beside(recording: str, names: Collection[str]) -> list[str]:
    """The sidecars of a recording among the names of its folder; what is exactly another file's is not this one's."""
    keys, exact = recording_keys(recording), sidecar_name(recording)
    near = {name for name in names if is_sidecar(name) and base_key(name) in keys}
    others = {sidecar_name(name) for name in names if name not in near}
    return sorted(name for name in near if name == exact or name not in others)


def unclear(sidecars: Iterable[str]) -> SidecarUnclearError:
    """The error where there are several."""
    told = ", ".join(printable(PurePath(path).name) for path in sidecars)
    return SidecarUnclearError(f"Several corrections files are for this recording: {told}.")


def fault_of(mode: int) -> str:
    """What a sidecar is that is no regular file, "" where it is one."""
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a link" if stat.S_ISLNK(mode) else "no regular file"
