"""What the elements of an HTML page are: which begin blocks, which are no running text."""

from __future__ import annotations

import re

from sonar_cli.text.blocks import Kind

VOID = frozenset(
    "area base br col embed frame hr img input link meta param source track wbr".split()
)
# Never text of the page.
NO_TEXT = frozenset(
    "audio button canvas datalist iframe math object script select style svg template".split()
    + "textarea title video".split()
)
# Not the page's own text, but text: read where a page has no other.
BESIDE = frozenset("nav header footer aside figcaption menu".split())
HIDDEN = frozenset(["noscript", "dialog"])
HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
KINDS: dict[str, Kind] = {
    **{name: "heading" for name in HEADINGS},
    **{"pre": "code", "listing": "code", "xmp": "code", "blockquote": "quote"},
}
CELLS = frozenset(["td", "th"])
TABLE = frozenset(["table", "caption", "thead", "tbody", "tfoot", "tr", *CELLS])
BLOCKS = frozenset(
    "address article body center dd details dialog dir div dl dt fieldset figure form".split()
    + "frameset head hr html legend li main ol p section summary ul".split()
    + [*KINDS, *TABLE, *BESIDE]
)
# Elements whose end tag may be left out: what ends them, and what they are not looked for beyond.
ENDED_BY: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset(["li"]), frozenset(["ul", "ol", "menu", "dir"])),
    "dd": (frozenset(["dd", "dt"]), frozenset(["dl"])),
    "dt": (frozenset(["dd", "dt"]), frozenset(["dl"])),
    "tr": (frozenset(["tr"]), frozenset(["table"])),
    "td": (CELLS, frozenset(["tr", "table"])),
    "th": (CELLS, frozenset(["tr", "table"])),
}
# What cannot stand in a heading, so that it ends one whose end tag is missing.
ENDS_HEADING = frozenset(
    "article blockquote dl main ol p pre section table ul h1 h2 h3 h4 h5 h6".split()
)
# In HTML mail: what the programs call the earlier mail below a reply, and a signature.
_QUOTED = re.compile(
    r"gmail_quote|gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote|zmail_extra"
    r"|OutlookMessageHeader|divRplyFwdMsg|mail-editor-reference-message|replyforward",
    re.I,
)
_SIGNATURE = re.compile(r"gmail_signature|moz-signature|moz-txt-sig|protonmail_signature", re.I)
_INVISIBLE = re.compile(r"(?:^|;)(?:display:none|visibility:hidden)", re.I)


def is_hidden(name: str, attributes: dict[str, str | None]) -> bool:
    """Return whether an element is not shown."""
    style = re.sub(r"\s+", "", attributes.get("style") or "")
    return (
        (name in HIDDEN and "open" not in attributes)
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or bool(_INVISIBLE.search(style))
    )


def mail_kind(name: str, attributes: dict[str, str | None]) -> Kind | None:
    """Return what an element of an HTML mail holds, if it is an earlier mail or a signature."""
    named = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    if _SIGNATURE.search(named):
        return "signature"
    cited = name == "blockquote" and attributes.get("type") == "cite"
    return "quoted" if cited or _QUOTED.search(named) else None
