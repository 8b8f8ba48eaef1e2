"""The parts of what a long context costs, in the records of a comparison; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What is compared: reading a prompt, writing a sentence after it, and both.
PARTS = ("read", "write", "both")


def cost_of(record: Mapping[str, Any], part: str, unit: str) -> float:
    """Return a record's cost in a unit: of reading the context, of writing a sentence, of both.

    Reading begins with the context's text, so that it includes the encoding.

    >>> record = {"encode_seconds": 3.0, "read_seconds": 1.0, "write_seconds": 0.5}
    >>> [cost_of(record, part, "seconds") for part in PARTS]
    [4.0, 0.5, 4.5]
    """
    read, write = record[f"encode_{unit}"] + record[f"read_{unit}"], record[f"write_{unit}"]
    return float({"read": read, "write": write, "both": read + write}[part])
