"""Check a codec against known values of SONAR's published weights.

The weights are gigabytes and no test here can hold them; these values let their users see that the
files are the right ones and that they are read and run rightly. They are from the own test of
SONAR's port to transformers (huggingface/transformers, pull request 29646).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sonar_cli.options import ENGLISH

if TYPE_CHECKING:
    from sonar_cli.model.codec.base import Codec

# The numbers are known to six decimals, the smallest of them thus to three digits: without an
# absolute tolerance rounding alone would count as a difference.
_RELATIVE, _ABSOLUTE = 1e-3, 5e-6
_BEAM_SIZE, _MAX_TOKENS = 5, 256


@dataclass(frozen=True)
class KnownValues:
    """Known values of a codec with vectors of `width` numbers, for English sentences.

    `vectors` has the first numbers of a sentence's vector, `written` what the decoder makes of it.
    """

    width: int
    vectors: Mapping[str, tuple[float, ...]]
    written: Mapping[str, str]


_NAME = "My name is SONAR."
_SPACE = "I can embed the sentences into vectorial space."
SONAR = KnownValues(
    1024,
    {
        _NAME: (-0.005286, 0.002008, -0.000562, 0.006344, 0.006329),
        _SPACE: (-0.000330, -0.007055, 0.007644, 0.001841, 0.003727),
    },
    {_NAME: _NAME, _SPACE: "I can embed the sentences into vector space."},
)


@dataclass(frozen=True)
class Check:
    """A value that was looked at: what it is, how it came out and how it should, and if it did."""

    what: str
    found: str
    expected: str
    met: bool


def checks(codec: Codec, known: KnownValues) -> Iterator[Check]:
    """Yield the known values of vectors, then those of sentences written from them."""
    width = str(codec.width)
    if codec.width != known.width:
        yield Check("the size of a vector", width, str(known.width), False)
        return
    sentences = list(known.vectors)
    vectors = codec.encode(sentences, ENGLISH)
    for sentence, row in zip(sentences, vectors.float().tolist(), strict=True):
        expected = known.vectors[sentence]
        found = row[: len(expected)]
        met = all(
            math.isclose(number, right, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
            for number, right in zip(found, expected, strict=True)
        )
        yield Check(f'the vector of "{sentence}"', _numbers(found), _numbers(expected), met)
    written = codec.decode(vectors, ENGLISH, _BEAM_SIZE, _MAX_TOKENS)
    for sentence, decoded in zip(sentences, written, strict=True):
        right = known.written[sentence]
        what = f'what is written from the vector of "{sentence}"'
        yield Check(what, f'"{decoded.text}"', f'"{right}"', decoded.text == right)


def _numbers(numbers: tuple[float, ...] | list[float]) -> str:
    return " ".join(f"{number:.6f}" for number in numbers)
