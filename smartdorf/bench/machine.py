"""What this machine is, and what a process has used: read from /proc, so on Linux; elsewhere it is unknown (None).

Knows nothing of what the processes are.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Machine:
    processor: str
    cores: int  # that we may use
    memory_mb: int | None
    system: str
    python: str


def describe_machine() -> Machine:
    return Machine(
        _field(_PROC / "cpuinfo", "model name") or platform.processor() or platform.machine(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        _megabytes(_field(_PROC / "meminfo", "MemTotal")),
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
    )


def peak_memory_mb(pid: int) -> int | None:
    """The most that the process has had in memory since its start."""
    return _megabytes(_field(_PROC / str(pid) / "status", "VmHWM"))


def cpu_seconds(*pids: int) -> float | None:
    """Processor time of the processes and of those of their children that have ended, so far."""
    ticks = 0
    for pid in pids:
        stat = _stat(pid)
        if stat is None:
            return None
        ticks += sum(map(int, stat[11:15]))  # utime, stime, and both of the children
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds() -> float | None:
    """Processor time of everything on this machine since it started, and what its host took away from it."""
    try:
        words = (_PROC / "stat").read_text().partition("\n")[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, words[1:9])
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and the children that it has now."""
    return [pid, *(child for child in _processes() if (stat := _stat(child)) and int(stat[1]) == pid)]


def parent(pid: int, name: str) -> int | None:
    """The parent of the process, where that is one of this machine and is called ``name``."""
    try:
        if (_PROC / str(pid) / "comm").read_text().strip() != name:
            return None
    except OSError:
        return None
    stat = _stat(pid)
    return int(stat[1]) if stat is not None else None


def _processes() -> Iterator[int]:
    return (int(path.name) for path in _PROC.glob("[0-9]*"))


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the name, which may contain anything: state, ppid …"""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _field(file: Path, name: str) -> str | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _megabytes(text: str | None) -> int | None:
    """``61440 kB`` → 60."""
    return round(int(text.split()[0]) / 1024) if text else None
