"""The rules of English, where its sentences end and where they only seem to."""

from __future__ import annotations

import re

from sonar_cli.text.marks import CLOSERS, EMOJI, RAISED, marks
from sonar_cli.text.rules import Rules

# Lower case, without the final full stop, as Punkt keeps them.
_ABBREVIATIONS = """
a.d a.m al approx apr assoc aug ave b.a b.c b.sc bldg blvd brig c capt cf cmdr co col comdr corp cpl
dec dept dist dr e.g e.u esp est etc ext feb fig figs fri ft gov hr hrs i.e inc jan jr jul jun lt
ltd m.a m.d maj messrs mg mme mon mr mrs ms msgr mt n.b nov oct op p.m p.s ph.d pp prof pt pvt rep
rev sec sen sep sept sgt sr st thu thur thurs tue tues u.k u.n u.s u.s.a univ vol vols vs
""".split()
# Words in lower case inside a sentence: with a capital after a full stop they begin one.
_STARTERS = """
a about after again all also an and another are as at away because before but by can come could did
do does down during each even every everybody everyone finally first for from had has have he her
here his how however i if in inside instead is it its just last later let like many maybe more most
my never next no nobody not nothing now of on once one only or our out outside over perhaps please
several she since so some somebody soon still suddenly that the their then there these they this
those though through to together too two under until up upon very was we well were what when where
which while who why will with without would yes yet you your
""".split()
# Further words that say little of what a text is about, among them what an apostrophe leaves.
_FUNCTION_WORDS = """
always am among any anyone anything around aren beside between been being both cannot couldn d didn
doesn doing don done else ever everything few further get gets got hadn hasn haven having herself
him himself isn itself ll m may me might mine much must myself neither none nor not off often onto
ours own per quite rather re really s said same say says shall should shouldn someone something such
t than themselves upon us ve via wasn weren whom whose within wouldn yours yourself
""".split()
# Abbreviations only before a number, as in "No. 5".
_BEFORE_NUMBERS = """
art ch chap eq eqs fig figs l ll n no nos n° op p para paras pp pt sect tab ver vol vols
""".split()
_TITLES = "Mr|Mrs|Ms|Dr|Prof"
# Words that begin a sentence even where the space after a full stop is missing.
_GLUED = "|".join(
    word.capitalize()
    for word in [*_STARTERS, "today", "tomorrow", "yesterday", *_TITLES.split("|")]
)
# A note such as [3], [2, 5] or a raised number.
_NOTE = rf"(?:\[[\w ,–-]{{1,24}}\]|[{RAISED}])"

# Further alternatives of the pattern of marks, which has just read one of `.!?…`.
_MARKS = rf"""
  | (?<=…)(?=["'{CLOSERS}]*\s)
  | (?<=\s\.)(?:\s\.){{2,3}}(?!\s?\.)                   # an ellipsis of dots apart
  | (?<=\w\.)(?:\s\.){{3}}(?!\s?\.)                     # and one after a full stop
  | (?<=[.!?…])["'{CLOSERS}]*{_NOTE}+(?=\s|$)
  | (?<=[.!?…])["'{CLOSERS}]*(?:[^\S\n]*[{EMOJI}])+(?=\s|$)
  | (?<=\d\ [a-z]\.)(?=\s+[A-Z])                       # a unit; else Punkt sees an initial
  | (?<=[a-z0-9][a-z0-9][.!?])(?=(?:{_GLUED})\b)
  | (?<=[ap]\.m\.)(?=\s(?:{_TITLES})\.) | (?<=[AP]\.M\.)(?=\s(?:{_TITLES})\.)
"""
# Where the line break is, sentences were cut that are one.
_GOES_ON = (
    rf"(?:^|[\s(\[])(?i:{'|'.join(_BEFORE_NUMBERS)})\.\n[\[(]?\d",
    r"\bet al\.\n[\[(\d]",
    r"\.\n['’]s\b",  # of the R.A.F.'s plane
    # C.S. Lewis
    rf"(?:^|[\s(\"'“‘])(?![AP]\.M)(?:[A-Z]\.){{2,5}}\n"
    rf"(?!(?:{'|'.join(word.capitalize() for word in _STARTERS)})\b)[A-Z]",
    rf"\n{_NOTE}+$",
    r"(?:…|\.\s?\.)\nI\b",  # one who stammers
    r":\s\(?\d{1,2}[.)]{1,2}\n",  # the first item of a list behind a colon
    r"^(?:About|After|Around|At|Before|By|From|Since|Until) [\d:]{1,5} ?[AaPp]\.[Mm]\.\n",
)

ENGLISH = Rules(
    "english",
    tuple(_ABBREVIATIONS),
    tuple(_STARTERS),
    tuple(_BEFORE_NUMBERS),
    # Unlike elsewhere “ and ‘ only open.
    closing=re.compile(r"[\"')\]}\u2019\u201d\xbb]+?(?:\s+|(?=--)|$)", re.MULTILINE),
    marks=marks(_MARKS),
    goes_on=re.compile("|".join(_GOES_ON)),
    function_words=(*_STARTERS, *_FUNCTION_WORDS),
)
