"""The page at /: one file, with a policy that lets it load nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.S)


@cache
def page() -> tuple[str, dict[str, str]]:
    """Return the page and its headers; its script and style are known by their hashes.

    >>> html, headers = page()
    >>> headers["Content-Security-Policy"].partition(";")[0]
    "default-src 'none'"
    """
    html = files("sonar_cli.serve").joinpath("page.html").read_text(encoding="utf-8")
    hashes = {kind: _hash(content) for kind, content in _INLINE.findall(html)}
    policy = (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return html, {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
