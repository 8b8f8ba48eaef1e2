"""On which terms the four systems are compared: texts, sizes, seeds, learning rates, budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.cost import CONTEXTS
from sonar_cli.training import recipe as recipes
from sonar_cli.training import schema
from sonar_cli.training.recipe import Kind, Recipe
from sonar_cli.training.record import digest
from sonar_cli.training.tables import BRANCHING, NEEDLE, Data, Dtype, Model
from sonar_cli.world.needle import DEPTHS, LENGTHS

SYSTEMS: tuple[Kind, ...] = get_args(Kind)
SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True)
class NeedleTerms:
    """How the systems learn to find a needle, and how they are asked for it.

    Each is trained anew at the largest size, with each of the comparison's seeds and its own
    learning rate, on `stories` texts of data.path=needle of up to `longest` sentences, for `steps`
    updates of `batch`, with at most `variety` words of each list (0: all). It is asked `cases`
    times at each of `contexts`, in sentences, and each of `depths`. Without contexts there is no
    needle.
    """

    contexts: tuple[int, ...] = LENGTHS
    depths: tuple[float, ...] = DEPTHS
    cases: int = 10
    stories: int = 20_000
    variety: int = 0
    longest: int = 130
    steps: int = 2_000
    batch: int = 12


@dataclass(frozen=True)
class CostTerms:
    """Of which contexts seconds, memory and FLOPs are measured; see `cost.measure`.

    `contexts` are those of the trained systems, at the largest size, `random_contexts` those of
    systems with random weights: of SONAR's codec and the 900m with `size` "full", in `dtype`.
    Without contexts nothing is measured. All are in sentences of `tokens` tokens. `ratio` is how
    near to 1 the ends of a crossover are.
    """

    contexts: tuple[int, ...] = CONTEXTS
    random_contexts: tuple[int, ...] = (16, 64, 256)
    tokens: int = 20
    reads: int = 1
    writes: int = 3
    ratio: float = 1.05
    size: Literal["full", "tiny"] = "full"
    dtype: Dtype = "float32"


@dataclass(frozen=True)
class Terms:
    """The terms of a comparison, which hold for all systems.

    `data` are the texts to train on; `test` is a path of those to measure on, or "" for the part of
    `data` that is kept for it, which of a story world are stories of held-out combinations.
    `sizes` are numbers of trainable parameters, of `layers` layers. Each is trained with every seed
    in `seeds`, for `steps` updates of `batch` texts. The learning rate is the one of `rates` that
    was best for the system at that size, with the first seed, after `tried` steps.
    The second budget is `seconds` of training at the largest size, 0 for as many as the slowest of
    the systems takes for its steps. `texts` is how many of the held-out texts each measure reads,
    and `sentences` the most that are written of one. `needle` and `cost` are the terms of these.
    """

    codec: str = "mini"
    data: Data = field(default_factory=lambda: Data(BRANCHING, summaries=True))
    test: str = ""
    sizes: tuple[int, ...] = (250_000, 500_000, 1_000_000, 2_000_000)
    layers: int = 4
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3)
    steps: int = 2_000
    seconds: float = 0.0
    tried: int = 500
    batch: int = 24
    texts: int = 300
    sentences: int = 32
    needle: NeedleTerms = field(default_factory=NeedleTerms)
    cost: CostTerms = field(default_factory=CostTerms)

    def __post_init__(self) -> None:
        for name in ("sizes", "seeds", "rates"):
            if not getattr(self, name) or len(set(getattr(self, name))) < len(getattr(self, name)):
                raise UsageError(f"{name} is a list of different numbers, at least one")
        for name in ("layers", "steps", "tried", "batch", "texts", "sentences"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1, not {getattr(self, name)}")
        _require_positive("needle", self.needle, ("cases", "stories", "steps", "batch"))
        _require_positive("cost", self.cost, ("tokens", "reads", "writes"))
        contexts = (*self.needle.contexts, *self.cost.contexts, *self.cost.random_contexts)
        if min(contexts, default=1) < 1:
            raise UsageError("a context has at least 1 sentence")
        if not all(0 <= depth < 1 for depth in self.needle.depths):
            raise UsageError("needle.depths are shares from 0 to below 1")
        if self.cost.ratio < 1:
            raise UsageError(f"cost.ratio is at least 1, not {self.cost.ratio}")

    def of_needle(self) -> Terms:
        """Return the terms on which the systems learn to find a needle."""
        how = self.needle
        data = Data(NEEDLE, stories=how.stories, variety=how.variety, max_sentences=how.longest)
        return replace(self, data=data, test="", steps=how.steps, batch=how.batch)


def _require_positive(table: str, terms: NeedleTerms | CostTerms, keys: Sequence[str]) -> None:
    for key in keys:
        if getattr(terms, key) < 1:
            raise UsageError(f"{table}.{key} is at least 1, not {getattr(terms, key)}")


@dataclass(frozen=True)
class Run:
    """One training: a system of a size, with a seed and a learning rate, of so many steps."""

    system: Kind
    size: int
    seed: int
    rate: float
    steps: int

    def recipe(self, terms: Terms, shape: Model) -> Recipe:
        """Return the run's recipe: the system's shipped one, on these terms.

        What its optimizer and its dropout are stays the system's own, as in its paper. A SONAR-LLM
        is trained by the paper's objective alone, without first steps on vectors.
        """
        shipped = recipes.read(self.system)
        assert isinstance(shipped, Recipe)  # a system's own recipe is one
        how = replace(
            shipped.train,
            steps=self.steps,
            batch=terms.batch,
            lr=self.rate,
            warmup=max(1, self.steps // 10),
            validate_every=self.steps,
            keep=1,
            seed=self.seed,
        )
        return replace(
            shipped,
            codec=terms.codec,
            data=terms.data,
            model=replace(shape, dropout=shipped.model.dropout),
            objective=replace(shipped.objective, vector_steps=0),
            train=how,
        )

    def name(self, recipe: Recipe, codec: str) -> str:
        """Return the name of the run's folder: what it is, and a digest of recipe and codec."""
        made = digest([recipe.toml(), codec]).partition(":")[2]
        return f"{self.system}-{self.size}-{self.seed}-{made[:10]}"


def names() -> list[str]:
    """Return the names of the terms that are shipped.

    >>> names()
    ['full', 'small', 'tiny']
    """
    return schema.shipped(SHIPPED)


def read(name: str) -> Terms:
    """Read terms: a shipped name or a TOML file, whose keys are the fields of `Terms`.

    Raises UsageError for a name or file that is not there, broken TOML, unknown keys and values of
    another type.
    """
    return schema.make(Terms, schema.load(name, SHIPPED, "terms"), name)
