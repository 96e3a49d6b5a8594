"""Checks of the shared folder. What was measured is told in words, and as settings where some follow from it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, failed, not_applicable, ok, warning
from daemon.diagnostics.measurements.files import Folder, Folders, Names, Times
from daemon.diagnostics.measurements.mount import Place, Presence, Space
from daemon.diagnostics.measurements.renaming import OVERWRITES, Renaming, Syncing
from daemon.diagnostics.measurements.visibility import Events, Lag
from daemon.errors import SplitShareError
from daemon.share.share import is_network, settle_key
from pipeline.degradation.space import mib

_GIB = 2**30
_FAT = ("vfat", "msdos")
_IN_MEMORY = ("tmpfs", "ramfs")
_NO_OWNERS = ("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk")
_NFS_CACHE_S = 60.0  # acregmax and acdirmax where the options name none (nfs(5))
_OTHER_CACHE_S = 1.0  # cifs (mount.cifs(8)) and FUSE's usual time
_WRITE_BACK_S = 30.0  # how long another host's kernel may keep written data to itself (vm.dirty_expire_centisecs)
_SLOW_SYNC_MS = 250.0
_COARSE_NS = 10**9
_CLOCKS_APART_S = 60.0
_LONGEST_NAME = 255

# What the service looks at whenever it starts: cheap, and what it cannot do without.
AT_START = ("share-permissions", "share-one-file-system", "share-rename", "share-fsync", "share-times", "share-limits")
SAID_ONLY = ("share-limits",)  # a disk may grow, and a configuration be loaded anew, while the service waits


@check("share-there")
def there(context: Context) -> Finding:
    """Everything happens in the share: it must be mounted, and hold what the service has left there."""
    facts, root = context.measure(Presence), context.share.root
    if facts.refused == "ENOENT":
        return failed(f"{root} does not exist.", f"Mount the share, or create the folder: mkdir -p {root}")
    if facts.refused:
        return failed(
            f"{root} cannot be opened by {context.user}: {_words(facts.refused)}.",
            f"Give {context.user} the right to it and to the folders above it; see also share.root.",
        )
    if not facts.prepared:
        return warning(
            f"No service has worked in {root} yet.", "Nothing to do on a new share; else see whether it is mounted."
        )
    if facts.missing:
        return warning(f"Folders are missing: {', '.join(facts.missing)}.", "The service makes them when it starts.")
    return ok(f"{root} holds a share of this service.")


@check("share-file-system", needs="share-there")
def file_system(context: Context) -> Finding:
    """The kind of file system decides how files are watched, and how long they must be quiet before they are taken."""
    place = context.measure(Place)
    facts = {"kind": place.kind, "source": place.source, "options": place.options}
    if place.read_only:
        return failed(f"{place.source} is mounted read-only.", "Mount it with rw.", facts=facts)
    key, quiet_s = settle_key(place.kind), _quiet_s(place)
    told = getattr(context.settings.settle, key)
    summary = f"{place.kind or 'an unknown file system'} from {place.source or 'nowhere that the kernel names'}"
    if place.kind in _FAT:
        return warning(
            f"{summary} holds no file of 4 GiB or more.", "Put the share on another file system.", facts=facts
        )
    if place.kind in _IN_MEMORY:
        return warning(
            f"{summary} is kept in memory: it is empty after a restart of the machine.",
            "Use a disk, unless this is a trial.",
            facts=facts,
        )
    if told < quiet_s:
        return warning(
            f"{summary}: {told:g} s of quiet are too few, other hosts' writing may stay unseen for {quiet_s - 5:g} s.",
            f"Set settle.{key} to {quiet_s:g} or more.",
            settings={f"settle.{key}": quiet_s},
            facts=facts,
        )
    watched = "polled" if place.network else "watched by events and polled"
    return ok(f"{summary}; it is {watched}, and files settle for {told:g} s.", facts=facts)


def _quiet_s(place: Place) -> float:
    """The least quiet time: as long as another host's writing may stay unseen, and a little more."""
    if not place.network:
        return 0.0
    return max(_cache_s(place), _WRITE_BACK_S) + 5.0


def _cache_s(place: Place) -> float:
    known = [s for s in (place.file_cache_s, place.folder_cache_s) if s is not None]
    usual_s = _NFS_CACHE_S if place.kind.startswith("nfs") else _OTHER_CACHE_S
    return max(known) if len(known) == 2 else max([usual_s, *known])


@check("share-permissions", needs="share-there")
def permissions(context: Context) -> Finding:
    """The service creates files in all folders, moves other people's files, and leaves results for them to use."""
    facts = context.measure(Folders)
    missing = [folder.name for folder in facts.folders if folder.refused == "ENOENT"]
    closed = [folder for folder in facts.folders if folder.refused not in ("", "ENOENT")]
    if closed:
        names = ", ".join(f"{folder.name} ({_words(folder.refused)})" for folder in closed)
        return failed(
            f"{context.user} cannot create files in {names}.",
            f"Give {context.user}'s group the right to write: chgrp and chmod g+rwxs on these folders.",
        )
    if len(missing) == len(facts.folders):
        return not_applicable("No folder is there yet.")
    troubles = list(_ownership(facts, context))
    if troubles:
        return warning(troubles[0][0], troubles[0][1], facts={"folders": [_described(f) for f in facts.folders]})
    return ok(
        f"{context.user} can create and move files in all folders.",
        facts={"umask": f"{facts.umask:04o}", "folders": [_described(folder) for folder in facts.folders]},
    )


def _ownership(facts: Folders, context: Context) -> Iterator[tuple[str, str]]:
    """What is wrong with the files that were created, as (summary, remedy)."""
    there = [folder for folder in facts.folders if not folder.refused]
    if context.measure(Place).kind in _NO_OWNERS:
        return
    for folder in there:
        if folder.file_uid != facts.uid:
            yield (
                f"What user {facts.uid} creates in {folder.name} belongs to user {folder.file_uid}.",
                "The server maps users. Where that is not meant: root_squash and anonuid (NFS), uid= (SMB).",
            )
        elif folder.mode & stat.S_ISGID and folder.file_gid != folder.gid:
            yield (
                f"{folder.name} is setgid, but new files get group {folder.file_gid} instead of {folder.gid}.",
                "See the mount options grpid and gid=, or let the folder belong to the service's group.",
            )
        elif not folder.mode & stat.S_ISGID and folder.mode & stat.S_IWGRP and folder.file_gid != folder.gid:
            yield (
                f"New files in {folder.name} get group {folder.file_gid}, the folder has {folder.gid}.",
                f"Let files take the folder's group: chmod g+s {folder.name}",
            )
        elif folder.mode & stat.S_IWGRP and not folder.file_mode & stat.S_IWGRP:
            yield (
                f"The group may write in {folder.name}, but not to what is created there (umask {facts.umask:04o}).",
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
    """Files move between the folders by rename, which takes no time and is whole or not at all, but ends at a mount."""
    folders = context.measure(Folders).folders
    strays = [f"{folder.name} ({_words(folder.crossing)})" for folder in folders if folder.crossing]
    if strays:
        return failed(SplitShareError.of(strays).message, SplitShareError.remedy)
    return ok("Files can be renamed from each folder to the others.")


@check("share-rename", needs="share-there")
def rename(context: Context) -> Finding:
    """Files are claimed by rename, so that one of many hosts wins, and published without ever replacing another."""
    facts = context.measure(Renaming)
    told = {"no_replace": facts.no_replace, "link": facts.link, "protocol": facts.protocol}
    if facts.plain or facts.folder:
        return failed(
            f"Files or folders cannot be renamed: {_words(facts.plain or facts.folder)}.",
            "Put the share on another kind of file system, or mount it otherwise.",
            facts=told,
        )
    if OVERWRITES in (facts.no_replace, facts.link):
        return failed(
            "Renaming without replacing has replaced a file.",
            "Put the share on another kind of file system: files of the same name would be lost here.",
            facts=told,
        )
    if facts.protocol == "none":
        return failed(
            f"There is neither a rename that never replaces ({_words(facts.no_replace)}) nor a hard link"
            f" ({_words(facts.link)}).",
            "Mount the share over NFS or SMB 3 with the kernel's client, or use another kind of file system.",
            facts=told,
        )
    if not (facts.inode_kept and facts.mtime_kept):
        what = "inode" if not facts.inode_kept else "modification time"
        return failed(
            f"A file has another {what} after a rename, so that it cannot be recognised.",
            "On SMB, mount with serverino; on FUSE, with -o use_ino or noforget, or use another client.",
            facts=told,
        )
    if not facts.writer_follows:
        return warning(
            "Who has a file open loses it when it is renamed.", "Let nobody write into an inbox for long: copy instead."
        )
    how = "renameat2 without replacing" if facts.protocol == "rename" else "a hard link and a removal, as on NFS"
    return ok(f"Files are published by {how}.", facts=told)


@check("share-fsync", needs="share-there")
def fsync(context: Context) -> Finding:
    """A checkpoint or delivery counts once it is on the disk; where nobody can tell, a power cut may cost it."""
    facts = context.measure(Syncing)
    told = {"median_ms": facts.median_ms, "worst_ms": facts.worst_ms, "write_mb_per_s": facts.write_mb_per_s}
    if facts.file:
        return failed(
            f"Data cannot be forced to the disk: {_words(facts.file)}.", "See the server's and the kernel's messages."
        )
    if not facts.folder:
        return warning(
            "Names in a folder cannot be forced to the disk.",
            "After a power cut of the server, see that no finished file is missing.",
            facts=told,
        )
    if facts.median_ms > _SLOW_SYNC_MS:
        return warning(
            f"Forcing data to the disk takes {facts.median_ms:.0f} ms.",
            "Expect slow checkpoints; see the server's load.",
            facts=told,
        )
    summary = f"It takes {facts.median_ms:g} ms (at worst {facts.worst_ms:g}), at {facts.write_mb_per_s:g} MB/s"
    return ok(f"{summary}.", facts=told)


@check("share-events", needs="share-there")
def events(context: Context) -> Finding:
    """Events let the service find a file at once; where they do not come, its scan finds it a little later."""
    facts, place = context.measure(Events), context.measure(Place)
    told = {"own_ms": facts.own_ms, "other_ms": facts.other_ms, "other_way": facts.other_way}
    if is_network(place.kind):
        return ok(_of_network(facts), facts=told)
    if facts.refused:
        return warning(
            f"Folders cannot be watched ({_words(facts.refused)}): files are found by scanning alone.",
            "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl.",
            facts=told,
        )
    if facts.own_ms is None:
        return warning(
            "This file system reports no events: files are found by scanning alone.",
            "Nothing to do; scan.events: off spares the attempt.",
            settings={"scan.events": "off"},
            facts=told,
        )
    if facts.other_way and facts.other_ms is None:
        return warning(
            "Files that come another way are not reported: they are found by the scan.",
            f"Nothing to do; scan.max_interval_s ({context.settings.scan.max_interval_s:g} s) is how late that may be.",
            facts=told,
        )
    return ok(f"A new file was reported after {facts.own_ms:g} ms.", facts=told)


def _of_network(facts: Events) -> str:
    seen = "is not reported"
    if facts.other_way and facts.other_ms is not None:
        seen = f"was reported after {facts.other_ms:g} ms"
    other = f"; what came another way {seen}" if facts.other_way else ""
    return f"Other hosts may write here without this one noticing, so the share is polled{other}."


@check("share-cache", needs="share-there")
def cache(context: Context) -> Finding:
    """A network file system shows other hosts' writing late: a file that still grows may look finished until then."""
    facts, place = context.measure(Lag), context.measure(Place)
    key = settle_key(place.kind)
    quiet_s = getattr(context.settings.settle, key)
    if not facts.other_way:
        return _expected_lag(place, key, quiet_s)
    told = {"new_s": facts.new_s, "grown_s": facts.grown_s, "gone_s": facts.gone_s}
    words = f"new file {_after(facts.new_s)}, growth {_after(facts.grown_s)}, removal {_after(facts.gone_s)}"
    lags = [facts.new_s, facts.grown_s]
    longest_s = facts.longest_s if None in lags else max(lag for lag in lags if lag is not None)
    if None in lags or longest_s + 5 > quiet_s:
        wanted = round(longest_s + (_WRITE_BACK_S if None in lags else 5.0))
        return warning(
            f"What came another way was seen late: {words}.",
            f"Set settle.{key} to {wanted} or more (now {quiet_s:g}).",
            settings={f"settle.{key}": wanted},
            facts=told,
        )
    if facts.gone_s is None:
        return warning(
            f"What went another way was not noticed: {words}.", "Remove files from the share the same way.", facts=told
        )
    return ok(f"What came another way was seen soon: {words}.", facts=told)


def _expected_lag(place: Place, key: str, quiet_s: float) -> Finding:
    if not place.network:
        return not_applicable("The file system is local: there is nothing older than the disk.")
    cache_s = _cache_s(place)
    told = {"file_cache_s": place.file_cache_s, "folder_cache_s": place.folder_cache_s}
    summary = f"By its mount options, what other hosts write is seen within {cache_s:g} s"
    if cache_s + 5 > quiet_s:
        wanted = cache_s + 5
        return warning(
            f"{summary}; files settle for {quiet_s:g} s only.", f"Set settle.{key} to {wanted:g} or more.",
            settings={f"settle.{key}": wanted}, facts=told,
        )  # fmt: skip
    return ok(f"{summary}. Measure it with --through and a second mount of the share.", facts=told)


def _after(lag_s: float | None) -> str:
    return "not at all" if lag_s is None else f"after {lag_s:g} s"


@check("share-times", needs="share-there")
def times(context: Context) -> Finding:
    """Modification times tell whether a file still changes, and which of many came first."""
    facts = context.measure(Times)
    told = {"granularity_ns": facts.granularity_ns, "ahead_s": facts.ahead_s}
    if abs(facts.ahead_s) > _CLOCKS_APART_S:
        ahead = "ahead of" if facts.ahead_s > 0 else "behind"
        return warning(
            f"The share's clock is {abs(facts.ahead_s):.0f} s {ahead} this machine's.",
            "Let both take their time from the same server (NTP). Nothing is lost, but times in listings mislead.",
            facts=told,
        )
    if facts.granularity_ns > _COARSE_NS:
        return warning(
            f"Times are kept to {facts.granularity_ns / 1e9:g} s only.",
            "Nothing to do: quiet times are longer than that. The order of files that come at once is by name.",
            facts=told,
        )
    return ok(f"Kept to {facts.granularity_ns:,} ns; clocks agree to {abs(facts.ahead_s):.3f} s.", facts=told)


@check("share-names", needs="share-there")
def names(context: Context) -> Finding:
    """Results bear their source's name: what the file system refuses or changes cannot be delivered under it."""
    facts = context.measure(Names)
    told = {
        "case_sensitive": facts.case_sensitive,
        "one_spelling": facts.one_spelling,
        "longest_bytes": facts.longest_bytes,
        "refused": facts.refused,
        "changed": facts.changed,
    }
    if facts.changed:
        return warning(
            f"Names come back otherwise: {', '.join(facts.changed)}.",
            "Mount SMB shares with mapposix and iocharset=utf8.",
            facts=told,
        )
    if facts.longest_bytes < _LONGEST_NAME or {"Hangul", "emoji"} & set(facts.refused):
        return warning(
            f"Names may have {facts.longest_bytes} bytes; refused: {', '.join(facts.refused) or 'nothing'}.",
            "Keep the names of recordings short and plain, or mount the share with UTF-8 names.",
            facts=told,
        )
    alike = [] if facts.case_sensitive else ["upper and lower case are the same"]
    alike += [f"refused: {', '.join(facts.refused)}"] if facts.refused else []
    return ok("; ".join(["Names of 255 bytes and in any script", *alike]) + ".", facts=told)


@check("share-limits", needs="share-there")
def limits(context: Context) -> Finding:
    """A disk that is smaller than the free space that is asked for never has it: then nothing is ever started."""
    facts, settings = context.measure(Space), context.settings
    asked = {
        "share.low_bytes": settings.share.low_bytes,
        "share.resume_bytes": settings.share.resume_bytes,
        "degradation.disk_low_bytes": settings.degradation.disk_low_bytes,
    }
    if not facts.total_bytes:
        return not_applicable("The file system does not tell how large it is.")
    beyond = [f"{key} ({mib(wanted)})" for key, wanted in asked.items() if wanted > facts.total_bytes]
    if beyond:
        return failed(
            f"The whole disk has {mib(facts.total_bytes)}, so this can never be free: {', '.join(beyond)}.",
            "Set it to less, with room to work (dualface config set), or put the share on a larger disk.",
        )
    return ok(f"The disk has {mib(facts.total_bytes)}, more than must be free for the work.")


@check("share-space", needs="share-there")
def space(context: Context) -> Finding:
    """Below share.low_bytes nothing new is started, until share.resume_bytes are free again."""
    facts, wanted = context.measure(Space), context.settings.share
    told = {"free_bytes": facts.free_bytes, "total_bytes": facts.total_bytes, "free_files": facts.free_files}
    summary = f"{facts.free_bytes / _GIB:.1f} of {facts.total_bytes / _GIB:.1f} GiB are free"
    if facts.free_bytes < wanted.low_bytes:
        return failed(
            f"{summary}: nothing new is started below {mib(wanted.low_bytes)} (share.low_bytes).",
            f"Free space on the share; work goes on by itself from {mib(wanted.resume_bytes)} (share.resume_bytes).",
            facts=told,
        )
    least = context.settings.degradation.disk_low_bytes
    if facts.free_bytes < least:
        return failed(
            f"{summary}: jobs wait below {mib(least)} (degradation.disk_low_bytes).",
            "Free space on the share; work goes on by itself.",
            facts=told,
        )
    if facts.free_files is not None and facts.free_files < 1000:
        return warning(
            f"{summary}, but by its own account only {facts.free_files} more files can be made.",
            "Remove small files, if that is true: see df -i.",
            facts=told,
        )
    if facts.free_bytes < wanted.resume_bytes:
        return warning(f"{summary}: that is little.", "Free space on the share before it stops the work.", facts=told)
    return ok(f"{summary}.", facts=told)


def _words(error: str) -> str:
    """What the operating system says for an error's name."""
    number = getattr(errno, error, 0)
    return os.strerror(number).lower() if number else error
