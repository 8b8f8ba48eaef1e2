"""Environment variables that are not our own but change what we do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from sonar_cli.doctor.findings import Finding

_OTHERS = (
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("NLTK_DATA", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
)
_SECRET = re.compile(r"_(TOKEN|KEY|SECRET|PASSWORD)$")
# The user and the password in an address.
_LOGIN = re.compile(r"(?<=://)[^/@]*@")


def others() -> Iterator[Finding]:
    """Find huggingface_hub's variables, and those of places and threads, that are set."""
    for name, value in sorted(os.environ.items()):
        if name in _OTHERS or name.startswith("HF_"):
            yield Finding(name, "good", shown(name, value))


def shown(name: str, value: str) -> str:
    """Return a variable's value, without what is secret.

    >>> shown("HF_TOKEN", "hf_abc"), shown("HF_ENDPOINT", "https://me:pass@mirror.org")
    ('set, and not shown', 'https://...@mirror.org')
    """
    return "set, and not shown" if _SECRET.search(name) else _LOGIN.sub("...@", value)
