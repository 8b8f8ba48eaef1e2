"""A toy world in three languages: what the tiny codec and predictor are trained on."""

from __future__ import annotations

import random
from itertools import product

LANGUAGES = ("eng_Latn", "fra_Latn", "spa_Latn")
BEGIN, END = "Begin of text.", "End of sequence."

NAMES = ("Lily", "Tom", "Anna", "Max", "Mia", "Ben")
# (indefinite, definite) in each language
THINGS = (
    (("a kite", "the kite"), ("un cerf-volant", "le cerf-volant"), ("una cometa", "la cometa")),
    (("a ball", "the ball"), ("un ballon", "le ballon"), ("una pelota", "la pelota")),
    (("a boat", "the boat"), ("un bateau", "le bateau"), ("un barco", "el barco")),
    (("a drum", "the drum"), ("un tambour", "le tambour"), ("un tambor", "el tambor")),
    (("a hat", "the hat"), ("un chapeau", "le chapeau"), ("un sombrero", "el sombrero")),
    (("a lamp", "the lamp"), ("une lampe", "la lampe"), ("una lámpara", "la lámpara")),
    (("a bell", "the bell"), ("une cloche", "la cloche"), ("una campana", "la campana")),
    (("a doll", "the doll"), ("une poupée", "la poupée"), ("una muñeca", "la muñeca")),
)
PLACES = (
    ("the park", "le parc", "el parque"),
    ("the lake", "le lac", "el lago"),
    ("the market", "le marché", "el mercado"),
    ("the forest", "la forêt", "el bosque"),
)
PATTERNS = (
    ("{name} had {a}.", "{name} avait {a}.", "{name} tenía {a}."),
    (
        "{name} took {the} to {place}.",
        "{name} porta {the} vers {place}.",
        "{name} llevó {the} hasta {place}.",
    ),
    ("{The} was lost in {place}.", "{The} disparut dans {place}.", "{The} se perdió en {place}."),
    ("{name} looked for {the}.", "{name} chercha {the}.", "{name} buscó {the}."),
    (
        "{name} found {the} and went home.",
        "{name} trouva {the} et rentra.",
        "{name} encontró {the} y volvió a casa.",
    ),
)
FRAME = (
    (BEGIN, "Début du texte.", "Comienzo del texto."),
    (END, "Fin de la séquence.", "Fin de la secuencia."),
)

Fact = tuple[str, str, str]


def facts() -> list[Fact]:
    """Every sentence of the world, once, in all three languages; the order is fixed."""
    found = dict.fromkeys(FRAME)
    for name, thing, place in product(NAMES, THINGS, PLACES):
        found.update(dict.fromkeys(_story(name, thing, place)))
    return list(found)


def stories() -> list[list[str]]:
    """All stories in English, five sentences each."""
    return [
        [fact[0] for fact in _story(name, thing, place)]
        for name, thing, place in product(NAMES, THINGS, PLACES)
    ]


def batch(everything: list[Fact], size: int, rng: random.Random) -> list[tuple[str, int, str, int]]:
    """Draw (source, language index, target, language index); half of them are translations."""
    drawn = []
    for fact in rng.choices(everything, k=size):
        source = rng.randrange(len(LANGUAGES))
        target = rng.choice([source, rng.randrange(len(LANGUAGES))])
        drawn.append((fact[source], source, fact[target], target))
    return drawn


def _story(name: str, thing: tuple[tuple[str, str], ...], place: Fact) -> list[Fact]:
    told = []
    for pattern in PATTERNS:
        written = []
        for words, (a, the), where in zip(pattern, thing, place, strict=True):
            capital = the[0].upper() + the[1:]
            written.append(words.format(name=name, a=a, the=the, The=capital, place=where))
        told.append((written[0], written[1], written[2]))
    return told
