"""Checks of the share: measurements as sentences, remedies and recommended settings."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, failed, not_applicable, ok, warning
from daemon.diagnostics.measurements.files import Folder, Folders, Names, Times
from daemon.diagnostics.measurements.mount import Presence, ShareMount, Space
from daemon.diagnostics.measurements.renaming import OVERWRITES, Renaming, Syncing
from daemon.diagnostics.measurements.visibility import Events, Lag
from daemon.errors import SplitShareError
from daemon.share.share import is_network, settle_key
from pipeline.degradation.space import mib

_GIB = 2**30
_FAT = ("vfat", "msdos")
_IN_MEMORY = ("tmpfs", "ramfs")
_NO_OWNERS = ("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk")
_NFS_CACHE_S = 60.0  # acregmax and acdirmax by default (nfs(5))
_OTHER_CACHE_S = 1.0  # cifs (mount.cifs(8)) and FUSE's usual time
_WRITE_BACK_S = 30.0  # how long another host's kernel may delay written data (vm.dirty_expire_centisecs)
_SLOW_SYNC_MS = 250.0
_COARSE_NS = 10**9
_CLOCKS_APART_S = 60.0
_LONGEST_NAME = 255

# The fast and essential checks, at each start of the service.
AT_START = ("share-permissions", "share-one-file-system", "share-rename", "share-fsync", "share-times", "share-limits")
LOGGED_ONLY = ("share-limits",)  # the disk or the configuration may change while the service waits


@check("share-there")
def there(context: Context) -> Finding:
    """The share must be mounted, and contain the folders that the service has created."""
    facts, root = context.measure(Presence), context.share.root
    if facts.refused == "ENOENT":
        return failed(f"{root} does not exist.", f"Mount the share, or create the folder: mkdir -p {root}")
    if facts.refused:
        return failed(
            f"{root} cannot be opened by {context.user}: {_words(facts.refused)}.",
            f"Give {context.user} permission for it and the folders above it; see also share.root.",
        )
    if not facts.prepared:
        return warning(
            f"No service has used {root} yet.", "Nothing to do on a new share; otherwise check whether it is mounted."
        )
    if facts.missing:
        return warning(f"Folders are missing: {', '.join(facts.missing)}.", "The service creates them when it starts.")
    return ok(f"{root} is a share of this service.")


@check("share-file-system", needs="share-there")
def file_system(context: Context) -> Finding:
    """The file system decides how files are watched, and how long they must not change before they are claimed."""
    mount = context.measure(ShareMount)
    facts = {"kind": mount.kind, "source": mount.source, "options": mount.options}
    if mount.read_only:
        return failed(f"{mount.source} is mounted read-only.", "Mount it with rw.", facts=facts)
    key, quiet_s = settle_key(mount.kind), _quiet_s(mount)
    settle_s = getattr(context.settings.settle, key)
    summary = f"{mount.kind or 'an unknown file system'} from {mount.source or 'an unknown source'}"
    if mount.kind in _FAT:
        return warning(
            f"{summary} cannot hold files of 4 GiB or more.", "Put the share on another file system.", facts=facts
        )
    if mount.kind in _IN_MEMORY:
        return warning(
            f"{summary} is in memory: it is empty after a restart of the machine.",
            "Use a disk, unless this is a test.",
            facts=facts,
        )
    if settle_s < quiet_s:
        return warning(
            f"{summary}: {settle_s:g} s are too short, other hosts' writes may stay unseen for {quiet_s - 5:g} s.",
            f"Set settle.{key} to {quiet_s:g} or more.",
            settings={f"settle.{key}": quiet_s},
            facts=facts,
        )
    watched = "polled" if mount.network else "watched by events and polled"
    return ok(f"{summary}; it is {watched}, and the quiet time is {settle_s:g} s.", facts=facts)


def _quiet_s(mount: ShareMount) -> float:
    """Return the shortest safe quiet time: a little longer than other hosts' writes may stay invisible."""
    if not mount.network:
        return 0.0
    return max(_cache_s(mount), _WRITE_BACK_S) + 5.0


def _cache_s(mount: ShareMount) -> float:
    known = [s for s in (mount.file_cache_s, mount.folder_cache_s) if s is not None]
    usual_s = _NFS_CACHE_S if mount.kind.startswith("nfs") else _OTHER_CACHE_S
    return max(known) if len(known) == 2 else max([usual_s, *known])


@check("share-permissions", needs="share-there")
def permissions(context: Context) -> Finding:
    """The service creates files in all folders, moves other users' files, and creates results for them."""
    facts = context.measure(Folders)
    missing = [folder.name for folder in facts.folders if folder.refused == "ENOENT"]
    closed = [folder for folder in facts.folders if folder.refused not in ("", "ENOENT")]
    if closed:
        names = ", ".join(f"{folder.name} ({_words(folder.refused)})" for folder in closed)
        return failed(
            f"{context.user} cannot create files in {names}.",
            f"Give {context.user}'s group write permission: chgrp and chmod g+rwxs on these folders.",
        )
    if len(missing) == len(facts.folders):
        return not_applicable("The folders do not exist yet.")
    faults = list(_ownership_faults(facts, context))
    if faults:
        return warning(faults[0][0], faults[0][1], facts={"folders": [_described(f) for f in facts.folders]})
    return ok(
        f"{context.user} can create and move files in all folders.",
        facts={"umask": f"{facts.umask:04o}", "folders": [_described(folder) for folder in facts.folders]},
    )


def _ownership_faults(facts: Folders, context: Context) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the created files, as (summary, remedy)."""
    there = [folder for folder in facts.folders if not folder.refused]
    if context.measure(ShareMount).kind in _NO_OWNERS:
        return
    for folder in there:
        if folder.file_uid != facts.uid:
            yield (
                f"Files that user {facts.uid} creates in {folder.name} belong to user {folder.file_uid}.",
                "The server maps users. If that is not intended, see root_squash and anonuid (NFS), uid= (SMB).",
            )
        elif folder.mode & stat.S_ISGID and folder.file_gid != folder.gid:
            yield (
                f"{folder.name} is setgid, but new files get group {folder.file_gid} instead of {folder.gid}.",
                "See the mount options grpid and gid=, or give the folder to the service's group.",
            )
        elif not folder.mode & stat.S_ISGID and folder.mode & stat.S_IWGRP and folder.file_gid != folder.gid:
            yield (
                f"New files in {folder.name} get group {folder.file_gid}, the folder has {folder.gid}.",
                f"Make files inherit the folder's group: chmod g+s {folder.name}",
            )
        elif folder.mode & stat.S_IWGRP and not folder.file_mode & stat.S_IWGRP:
            yield (
                f"The group may write in {folder.name}, but not to files created there (umask {facts.umask:04o}).",
                "Run the service with UMask=0002, as its unit does.",
            )


def _described(folder: Folder) -> dict[str, str]:
    if folder.refused:
        return {"name": folder.name, "refused": folder.refused}
    return {
        "name": folder.name,
        "folder": f"{folder.mode:04o}, group {folder.gid}",
        "file": f"{folder.file_mode:04o}, user {folder.file_uid}, group {folder.file_gid}",
    }


@check("share-one-file-system", needs="share-permissions")
def one_file_system(context: Context) -> Finding:
    """Files move between the folders by rename, which is fast and atomic, but impossible between two mounts."""
    folders = context.measure(Folders).folders
    strays = [f"{folder.name} ({_words(folder.crossing)})" for folder in folders if folder.crossing]
    if strays:
        return failed(SplitShareError.of(strays).message, SplitShareError.remedy)
    return ok("Files can be renamed from each folder to the others.")


@check("share-rename", needs="share-there")
def rename(context: Context) -> Finding:
    """Files are claimed by rename, so that exactly one host wins, and published without replacing another file."""
    facts = context.measure(Renaming)
    measured = {"no_replace": facts.no_replace, "link": facts.link, "protocol": facts.protocol}
    if facts.plain or facts.folder:
        return failed(
            f"Files or folders cannot be renamed: {_words(facts.plain or facts.folder)}.",
            "Put the share on another kind of file system, or change the mount options.",
            facts=measured,
        )
    if OVERWRITES in (facts.no_replace, facts.link):
        return failed(
            "A rename that must not replace has replaced a file.",
            "Put the share on another kind of file system; files of the same name would be lost here.",
            facts=measured,
        )
    if facts.protocol == "none":
        return failed(
            f"There is neither a rename that never replaces ({_words(facts.no_replace)}) nor a hard link"
            f" ({_words(facts.link)}).",
            "Mount the share over NFS or SMB 3 with the kernel's client, or use another kind of file system.",
            facts=measured,
        )
    if not (facts.inode_kept and facts.mtime_kept):
        what = "inode" if not facts.inode_kept else "modification time"
        return failed(
            f"A rename changes the {what} of a file, so that the file cannot be recognised.",
            "On SMB, mount with serverino; on FUSE, with -o use_ino or noforget, or use another client.",
            facts=measured,
        )
    if not facts.writer_follows:
        return warning(
            "A program that writes to a file loses it when it is renamed.",
            "Copy finished files into inboxes.",
        )
    how = "renameat2 without replacing" if facts.protocol == "rename" else "a hard link and a removal, as on NFS"
    return ok(f"Files are published by {how}.", facts=measured)


@check("share-fsync", needs="share-there")
def fsync(context: Context) -> Finding:
    """Checkpoints and deliveries must be on the disk before work continues; otherwise a power cut may lose them."""
    facts = context.measure(Syncing)
    measured = {"median_ms": facts.median_ms, "worst_ms": facts.worst_ms, "write_mb_per_s": facts.write_mb_per_s}
    if facts.file:
        return failed(
            f"Data cannot be flushed to the disk: {_words(facts.file)}.",
            "See the server's and kernel's messages.",
        )
    if not facts.folder:
        return warning(
            "The names in a folder cannot be flushed to the disk.",
            "After a power cut of the server, check that no finished file is missing.",
            facts=measured,
        )
    if facts.median_ms > _SLOW_SYNC_MS:
        return warning(
            f"Flushing data to the disk takes {facts.median_ms:.0f} ms.",
            "Expect slow checkpoints; check the load of the server.",
            facts=measured,
        )
    summary = f"It takes {facts.median_ms:g} ms (at most {facts.worst_ms:g}), at {facts.write_mb_per_s:g} MB/s"
    return ok(f"{summary}.", facts=measured)


@check("share-events", needs="share-there")
def events(context: Context) -> Finding:
    """With events, the service finds a file at once; without them, its scan finds the file a little later."""
    facts, mount = context.measure(Events), context.measure(ShareMount)
    measured = {"own_ms": facts.own_ms, "other_ms": facts.other_ms, "other_way": facts.other_way}
    if is_network(mount.kind):
        return ok(_of_network(facts), facts=measured)
    if facts.refused:
        return warning(
            f"Folders cannot be watched ({_words(facts.refused)}): only the scan finds files.",
            "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl.",
            facts=measured,
        )
    if facts.own_ms is None:
        return warning(
            "This file system reports no events: only the scan finds files.",
            "Nothing to do; scan.events: off avoids the attempt.",
            settings={"scan.events": "off"},
            facts=measured,
        )
    if facts.other_way and facts.other_ms is None:
        return warning(
            "Files from other hosts are not reported: only the scan finds them.",
            f"Nothing to do; the delay is at most scan.max_interval_s ({context.settings.scan.max_interval_s:g} s).",
            facts=measured,
        )
    return ok(f"A new file was reported after {facts.own_ms:g} ms.", facts=measured)


def _of_network(facts: Events) -> str:
    seen = "was not reported"
    if facts.other_way and facts.other_ms is not None:
        seen = f"was reported after {facts.other_ms:g} ms"
    other = f"; a file from the other path {seen}" if facts.other_way else ""
    return f"Writes of other hosts cause no events, so the share is polled{other}."


@check("share-cache", needs="share-there")
def cache(context: Context) -> Finding:
    """A network file system shows other hosts' writes late, so a growing file may look finished for a while."""
    facts, mount = context.measure(Lag), context.measure(ShareMount)
    key = settle_key(mount.kind)
    quiet_s = getattr(context.settings.settle, key)
    if not facts.other_way:
        return _expected_lag(mount, key, quiet_s)
    measured = {"new_s": facts.new_s, "grown_s": facts.grown_s, "gone_s": facts.gone_s}
    words = f"new file {_after(facts.new_s)}, growth {_after(facts.grown_s)}, removal {_after(facts.gone_s)}"
    lags = [facts.new_s, facts.grown_s]
    longest_s = facts.longest_s if None in lags else max(lag for lag in lags if lag is not None)
    if None in lags or longest_s + 5 > quiet_s:
        wanted = round(longest_s + (_WRITE_BACK_S if None in lags else 5.0))
        return warning(
            f"Changes through the other path were seen late: {words}.",
            f"Set settle.{key} to {wanted} or more (now {quiet_s:g}).",
            settings={f"settle.{key}": wanted},
            facts=measured,
        )
    if facts.gone_s is None:
        return warning(
            f"A removal through the other path was not seen: {words}.",
            "Remove files through the same path.",
            facts=measured,
        )
    return ok(f"Changes through the other path were seen in time: {words}.", facts=measured)


def _expected_lag(mount: ShareMount, key: str, quiet_s: float) -> Finding:
    if not mount.network:
        return not_applicable("The file system is local and has no such delay.")
    cache_s = _cache_s(mount)
    measured = {"file_cache_s": mount.file_cache_s, "folder_cache_s": mount.folder_cache_s}
    summary = f"With these mount options, other hosts' writes are seen within {cache_s:g} s"
    if cache_s + 5 > quiet_s:
        wanted = cache_s + 5
        return warning(
            f"{summary}; the quiet time is only {quiet_s:g} s.", f"Set settle.{key} to {wanted:g} or more.",
            settings={f"settle.{key}": wanted}, facts=measured,
        )  # fmt: skip
    return ok(f"{summary}. To measure it: --through and a second mount of the share.", facts=measured)


def _after(lag_s: float | None) -> str:
    return "not at all" if lag_s is None else f"after {lag_s:g} s"


@check("share-times", needs="share-there")
def times(context: Context) -> Finding:
    """Modification times show whether a file still changes, and which file is the oldest."""
    facts = context.measure(Times)
    measured = {"granularity_ns": facts.granularity_ns, "ahead_s": facts.ahead_s}
    if abs(facts.ahead_s) > _CLOCKS_APART_S:
        ahead = "ahead of" if facts.ahead_s > 0 else "behind"
        return warning(
            f"The share's clock is {abs(facts.ahead_s):.0f} s {ahead} this machine's.",
            "Synchronise both with the same time server. Nothing is lost, but times in file lists are wrong.",
            facts=measured,
        )
    if facts.granularity_ns > _COARSE_NS:
        return warning(
            f"Times have a granularity of {facts.granularity_ns / 1e9:g} s.",
            "Nothing to do: quiet times are longer. Files with the same time are ordered by name.",
            facts=measured,
        )
    return ok(
        f"The granularity is {facts.granularity_ns:,} ns; the clocks differ by {abs(facts.ahead_s):.3f} s.",
        facts=measured,
    )


@check("share-names", needs="share-there")
def names(context: Context) -> Finding:
    """Results have the name of their source, so the file system must accept it and must not change it."""
    facts = context.measure(Names)
    measured = {
        "case_sensitive": facts.case_sensitive,
        "one_spelling": facts.one_spelling,
        "longest_bytes": facts.longest_bytes,
        "refused": facts.refused,
        "changed": facts.changed,
    }
    if facts.changed:
        return warning(
            f"The file system changes names: {', '.join(facts.changed)}.",
            "Mount SMB shares with mapposix and iocharset=utf8.",
            facts=measured,
        )
    if facts.longest_bytes < _LONGEST_NAME or {"Hangul", "emoji"} & set(facts.refused):
        return warning(
            f"Names may have {facts.longest_bytes} bytes; refused: {', '.join(facts.refused) or 'nothing'}.",
            "Keep the names of recordings short and plain, or mount the share with UTF-8 names.",
            facts=measured,
        )
    alike = [] if facts.case_sensitive else ["upper and lower case are the same"]
    alike += [f"refused: {', '.join(facts.refused)}"] if facts.refused else []
    return ok("; ".join(["Names of 255 bytes and in any script", *alike]) + ".", facts=measured)


@check("share-limits", needs="share-there")
def limits(context: Context) -> Finding:
    """The disk must be larger than the configured free space; otherwise nothing is ever started."""
    facts, settings = context.measure(Space), context.settings
    asked = {
        "share.low_bytes": settings.share.low_bytes,
        "share.resume_bytes": settings.share.resume_bytes,
        "degradation.disk_low_bytes": settings.degradation.disk_low_bytes,
    }
    if not facts.total_bytes:
        return not_applicable("The file system does not report its size.")
    beyond = [f"{key} ({mib(wanted)})" for key, wanted in asked.items() if wanted > facts.total_bytes]
    if beyond:
        return failed(
            f"The whole disk has {mib(facts.total_bytes)}, so this can never be free: {', '.join(beyond)}.",
            "Set it lower, with space for the work (dualface config set), or put the share on a larger disk.",
        )
    return ok(f"The disk has {mib(facts.total_bytes)}, more than must be free.")


@check("share-space", needs="share-there")
def space(context: Context) -> Finding:
    """Below share.low_bytes nothing new is started, until share.resume_bytes are free again."""
    facts, wanted = context.measure(Space), context.settings.share
    measured = {"free_bytes": facts.free_bytes, "total_bytes": facts.total_bytes, "free_files": facts.free_files}
    summary = f"{facts.free_bytes / _GIB:.1f} of {facts.total_bytes / _GIB:.1f} GiB are free"
    if facts.free_bytes < wanted.low_bytes:
        return failed(
            f"{summary}: nothing new is started below {mib(wanted.low_bytes)} (share.low_bytes).",
            f"Free space on the share; work continues by itself from {mib(wanted.resume_bytes)} (share.resume_bytes).",
            facts=measured,
        )
    least = context.settings.degradation.disk_low_bytes
    if facts.free_bytes < least:
        return failed(
            f"{summary}: jobs wait below {mib(least)} (degradation.disk_low_bytes).",
            "Free space on the share; work continues by itself.",
            facts=measured,
        )
    if facts.free_files is not None and facts.free_files < 1000:
        return warning(
            f"{summary}, but the file system reports space for only {facts.free_files} more files.",
            "If that is true (see df -i), remove small files.",
            facts=measured,
        )
    if facts.free_bytes < wanted.resume_bytes:
        return warning(f"{summary}, which is not much.", "Free space on the share before work stops.", facts=measured)
    return ok(f"{summary}.", facts=measured)


def _words(error: str) -> str:
    """Return the operating system's words for the name of an error."""
    number = getattr(errno, error, 0)
    return os.strerror(number).lower() if number else error
