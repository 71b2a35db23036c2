"""Figures as people read them: sizes with units, shares as meters."""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from cloudweb.models import Resource


def gib(mib: int) -> str:
    """MiB as GiB, or TiB from a thousand GiB on."""
    size, unit = mib / 1024, "GiB"
    if size >= 1024:
        size, unit = size / 1024, "TiB"
    text = f"{size:.0f}" if size >= 100 or size == int(size) else f"{size:.1f}"
    return f"{text} {unit}"


def moved(before_mib: int, after_mib: int) -> str:
    """How much more or less memory or disk that is: ``-144 GiB (-35 %)``."""
    change = after_mib - before_mib
    if not change:
        return "the same"
    sign = "+" if change > 0 else "\N{MINUS SIGN}"
    share = f" ({sign}{abs(change) / before_mib:.0%})".replace("%", " %") if before_mib else ""
    return f"{sign}{gib(abs(change))}{share}"


def number(count: int, *, at_most: int = 10_000) -> str:
    """A count with separators; past the point where counting stops, it says so."""
    return f"more than {at_most:,}" if count > at_most else f"{count:,}"


def plural(count: int, one: str, many: str | None = None, *, at_most: int = 10_000) -> str:
    """``1 server``, ``2 servers``."""
    return f"{number(count, at_most=at_most)} {one if count == 1 else many or one + 's'}"


_RESOURCES = {
    Resource.SERVERS: "VMs",
    Resource.CPU: "vCPUs",
    Resource.RAM_MB: "Memory, MiB",
    Resource.DISK_GB: "Disk, GiB",
    Resource.NETWORKS: "Networks",
    Resource.IMAGES: "Images",
}


def resource(which: Resource) -> str:
    """What is limited, in words."""
    return _RESOURCES[which]


@dataclasses.dataclass(frozen=True, slots=True)
class Meter:
    """A share of something, 0-100, with the sentence that says the same."""

    percent: float
    tone: str
    sentence: str
    free: str
    total: str
    words: str = ""
    """The share itself, where it may be more than all."""


_FULL_PERCENT = 95
_NEARLY_PERCENT = 85


def meter(name: str, total_mib: int, free_mib: int) -> Meter:
    """How much of memory or disk is in use."""
    used = max(0, total_mib - free_mib)
    percent = round(100 * used / total_mib, 1) if total_mib > 0 else 0.0
    tone = "ok"
    if percent >= _NEARLY_PERCENT:
        tone = "crit" if percent >= _FULL_PERCENT else "warn"
    sentence = (
        f"{name}: {gib(used)} of {gib(total_mib)} in use ({percent:.0f} %), {gib(free_mib)} free"
        if total_mib > 0
        else f"{name}: not known yet"
    )
    return Meter(min(100.0, percent), tone, sentence, gib(max(0, free_mib)), gib(total_mib))


def allocated(name: str, total_mib: int, free_mib: int, promised_mib: int) -> Meter:
    """How much of memory or disk is promised to VMs; what is free is by what is in use."""
    if total_mib <= 0:
        return Meter(0.0, "ok", f"{name}: not known yet", gib(0), gib(0))
    percent = round(100 * promised_mib / total_mib, 1)
    sentence = (
        f"{name}: {gib(promised_mib)} of {gib(total_mib)} allocated to VMs ({percent:.0f} %),"
        f" {gib(max(0, free_mib))} free"
    )
    tone = "warn" if percent >= _NEARLY_PERCENT else "ok"
    words = f"{percent:.0f} %"
    return Meter(min(100.0, percent), tone, sentence, gib(max(0, free_mib)), gib(total_mib), words)


def share(name: str, used: int, usable: int, *, left: str = "free") -> Meter:
    """How many of things are in use, or otherwise done with; what is not is ``left``."""
    percent = round(100 * used / usable, 1) if usable > 0 else 0.0
    tone = "ok"
    if percent >= _NEARLY_PERCENT and left == "free":
        tone = "crit" if percent >= _FULL_PERCENT else "warn"
    free = max(0, usable - used)
    sentence = f"{name}: {used:,} of {usable:,} ({percent:.0f} %), {free:,} {left}"
    return Meter(min(100.0, percent), tone, sentence, f"{free:,}", f"{usable:,}")


def runs(things: Iterable[Any], attribute: str, *, together: bool = True) -> list[tuple[Any, int]]:
    """How often in a row each value of the attribute comes; or each by itself."""
    values = (getattr(thing, attribute) for thing in things)
    if not together:
        return [(value, 1) for value in values]
    return [(value, len(list(group))) for value, group in itertools.groupby(values)]


def took(milliseconds: int) -> str:
    """How long something took, in the largest two units."""
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def every(seconds: float) -> str:
    """After how much time again, in the largest unit that is whole enough: ``hour``, ``2 days``."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size:
            count = round(seconds / size)
            return unit if count == 1 else plural(count, unit)
    return "second"
