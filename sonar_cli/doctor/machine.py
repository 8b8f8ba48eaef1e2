"""The machine: its CPU, memory and GPUs, as torch sees them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sonar_cli.cores import cores, processor
from sonar_cli.doctor.findings import Finding

_MEMINFO = Path("/proc/meminfo")
# The limit of a container, by control groups of version 2; a number of bytes or "max".
_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cpu() -> Iterator[Finding]:
    """Find the CPU's name and its instruction sets that make models fast."""
    from sonar_cli.model.fast.instructions import instruction_sets

    sets = instruction_sets()
    there = ", ".join(name for name, has in sets.items() if has) or "none of " + ", ".join(sets)
    values = {"processor": processor(), "instruction_sets": sets}
    yield Finding("CPU", "good", f"{processor()}: {there}", values=values)


def threads() -> Iterator[Finding]:
    """Find how many cores there are and how many threads use them."""
    import torch

    number = torch.get_num_threads()
    values = {"cores": cores(), "all_cores": os.cpu_count(), "threads": number}
    found = (
        f"{cores()} of {os.cpu_count()} for this process; without --threads torch uses {number} "
        f"threads, and mini 1 thread for each of {cores()} batches"
    )
    yield Finding("cores", "good", found, values=values)


def memory() -> Iterator[Finding]:
    """Find how much memory there is, how much of it is free, and a container's limit."""
    total, free = _memory()
    limit = _limit()
    values = {"total_bytes": total, "free_bytes": free, "limit_bytes": limit}
    if total is None:
        yield Finding("memory", "missing", "this system does not tell", values=values)
        return
    found = gigabytes(total)
    found += "" if free is None else f", {gigabytes(free)} free"
    found += "" if limit is None else f", of which this container may take {gigabytes(limit)}"
    yield Finding("memory", "good", found, values=values)


def gpus() -> Iterator[Finding]:
    """Find the CUDA devices, their memory, and GPUs that models do not run on."""
    import torch

    from sonar_cli.model.fast.bfloat16 import multiplies_bfloat16

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        name = torch.cuda.get_device_name(number)
        free, total = torch.cuda.mem_get_info(number)
        bfloat16 = multiplies_bfloat16(torch.device("cuda", number))
        found = f"{name}, {gigabytes(total)}, {gigabytes(free)} free"
        found += ", multiplies bfloat16" if bfloat16 else ", no bfloat16: take --dtype float16"
        values = {"total_bytes": total, "free_bytes": free, "bfloat16": bfloat16}
        yield Finding(f"cuda:{number}", "good", found, values={"name": name, **values})
    if not count:
        yield Finding("CUDA", "missing", "no device, so --device auto is the CPU")
        yield from _unused_gpu()
    if torch.backends.mps.is_available():
        yield Finding("MPS", "unused", "Apple's GPU is there, but models run on the CPU")
    else:
        yield Finding("MPS", "missing", "no device")


def gigabytes(number: int) -> str:
    """Show a number of bytes in gigabytes, or megabytes where it is less than one.

    >>> gigabytes(23_600_000_000), gigabytes(31_800_000)
    ('23.6 GB', '31.8 MB')
    """
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def _unused_gpu() -> Iterator[Finding]:
    """Tell of an NVIDIA GPU that torch cannot use, as far as the system shows that there is one."""
    import torch

    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    shown = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    if hidden or not shown:
        return
    if torch.version.cuda is None:
        reason, remedy = "torch is built for the CPU", "install torch's CUDA build (pytorch.org)"
    else:
        reason = f"torch, built for CUDA {torch.version.cuda}, does not find it"
        remedy = "see whether nvidia-smi works; a newer driver or an older build of torch may help"
    yield Finding("NVIDIA GPU", "unused", f"there seems to be one, but {reason}", remedy)


def _memory() -> tuple[int | None, int | None]:
    """Return how many bytes of memory there are and are free; None for what is not known."""
    try:
        text = _MEMINFO.read_text(encoding="ascii")
        kibibytes = {name: int(rest.split()[0]) for name, rest in map(_named, text.splitlines())}
        return kibibytes["MemTotal"] * 1024, kibibytes["MemAvailable"] * 1024
    except (OSError, ValueError, KeyError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    except (AttributeError, ValueError, OSError):  # Windows
        return None, None


def _named(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(":")
    return name, rest


def _limit() -> int | None:
    try:
        return int(_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is none
        return None
