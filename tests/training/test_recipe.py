"""Recipes: TOML held to a schema, and changes of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar_cli import toml
from sonar_cli.errors import UsageError
from sonar_cli.training import recipe, schema

SMALL = 'system = "llm"\n[train]\nsteps = 5\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


OTHER = {"finetune": "sonar-llm", "paper": "sonar-llm", "tinystories": "sonar-llm", "mini": "model"}


@pytest.mark.parametrize("name", recipe.names())
def test_shipped_recipes_are_whole(name: str) -> None:
    read = recipe.read(name)
    assert read.system == OTHER.get(name, name)
    parts = (read.codec, read.predictor) if isinstance(read, recipe.ModelRecipe) else (read,)
    hub = "hub:roneneldan/TinyStories"
    assert {part.data.path for part in parts} == {hub if name == "tinystories" else "world"}
    assert parts[0].start == ("mini" if name == "finetune" else None)
    # What is shown is the recipe: read again it is the same.
    assert schema.make(type(read), toml.parse(read.toml(), name), name) == read


def test_the_authors_numbers() -> None:
    """Theirs are 512 texts an update, 16,480 steps after 820 of warm-up, eps 1e-5, decay 0.01."""
    small, whole = recipe.read("paper"), recipe.read("tinystories")
    assert isinstance(small, recipe.Recipe) and isinstance(whole, recipe.Recipe)
    assert small.objective == whole.objective
    assert (small.objective.mean, small.objective.decoder_dropout) == ("text", 0.1)
    assert small.objective.double_eos and small.data.cut and whole.data.cut
    how = whole.train
    assert (how.batch, how.steps, how.warmup, how.clip) == (512, 16_480, 820, 1.0)
    for train in (small.train, how):
        assert (train.lr, train.weight_decay, train.beta2, train.eps) == (5e-4, 0.01, 0.999, 1e-5)


def test_the_texts_of_a_whole_model_are_those_of_both_its_parts() -> None:
    changes = ["data.path=notes/", "data.valid=0.1", "predictor.data.path=tales/"]
    read = recipe.read("mini", changes)
    assert isinstance(read, recipe.ModelRecipe)
    assert (read.codec.data.path, read.predictor.data.path) == ("notes/", "tales/")
    assert read.codec.data.valid == read.predictor.data.valid == 0.1


def test_a_file_and_its_changes(file: Path) -> None:
    assert recipe.read(str(file)).train.steps == 5
    changes = [
        "train.steps=7",
        "data.path=notes/",
        "model.hidden=64",
        "train.lr=1",
        "data.cut=true",
    ]
    read = recipe.read(str(file), changes)
    assert (read.train.steps, read.data.path, read.model.hidden) == (7, "notes/", 64)
    assert read.train.lr == 1.0 and isinstance(read.train.lr, float)
    assert read.data.cut is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.step=7", "unknown key 'train.step'; did you mean 'train.steps'?"),
        ("trian.steps=7", "unknown key 'trian'; did you mean 'train'?"),
        ("zzz=7", "unknown key 'zzz'; known are system, codec"),
        ("train.steps=many", 'train.steps is a whole number, not "many"'),
        ("train.steps=1.5", "train.steps is a whole number, not 1.5"),
        ("train.steps=true", "train.steps is a whole number, not true"),
        ("train.lr=fast", 'train.lr is a number, not "fast"'),
        ("data.cut=1", "data.cut is true or false, not 1"),
        ("data.path=3", "data.path is a text, not 3"),
        ("train.decay=none", 'train.decay is one of cosine, constant, not "none"'),
        ("system=gpt", 'system is one of sonar-llm, lcm-mse, lcm-diffusion, llm, not "gpt"'),
        ("train=3", "train is a table, [train], not 3"),
        ("train.steps", "is no key=value"),
        ("=3", "is no key=value"),
        ("train.steps.more=3", "steps is no table"),
        ("train.steps=0", "train.steps is at least 1, not 0"),
        ("data.variety=2", "data.variety is 0 for all, or at least 3, not 2"),
        ("data.valid=1.5", "data.valid is a share between 0 and 1"),
        ("data.valid=0", "data.valid is a share between 0 and 1"),
        ("data.valid=0.99", "data.valid and data.test leave nothing to train on"),
        ("data.test=-0.1", "data.test is a share from 0 to below 1, not -0.1"),
        ("data.workers=-1", "data.workers is at least 0, not -1"),
        ("data.stories=0", "data.stories is at least 1, not 0"),
        ("data.max_sentences=0", "data.max_sentences is at least 1, not 0"),
        ("data.column=", "data.column is empty"),
        ("model.heads=7", "give model.head_dim"),
    ],
)
def test_what_is_wrong_is_said(file: Path, change: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        recipe.read(str(file), [change])
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["paper", "lcm-mse", "lcm-diffusion", "llm"])
def test_summaries_are_those_of_the_world(name: str) -> None:
    read = recipe.read(name, ["data.summaries=true"])
    assert isinstance(read, recipe.Recipe) and read.data.summaries
    with pytest.raises(UsageError, match="summaries are those of the story world"):
        recipe.read(name, ["data.summaries=true", "data.path=notes/"])


def test_broken_files_and_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such recipe; there are codec, finetune, .*, mini, "):
        recipe.read("lcm")
    file = tmp_path / "broken.toml"
    file.write_text("system = [")
    with pytest.raises(UsageError, match="is not TOML"):
        recipe.read(str(file))
    file.write_text("codec = 'mini'")
    with pytest.raises(UsageError, match="system is missing"):
        recipe.read(str(file))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("lcm-mse", "model.heads=0", "model.heads is at least 1, not 0"),
        ("codec", "model.width=0", "model.width is at least 1, not 0"),
        ("codec", "model.heads=3", "model.heads 3 does not divide model.width 256"),
        ("lcm-mse", "model.kv_heads=3", "model.kv_heads 3 does not divide model.heads 8"),
        ("lcm-mse", "model.head_dim=3", "model.head_dim is an even number from 2, not 3"),
        ("lcm-mse", "model.dropout=2", "model.dropout is from 0 to below 1, not 2"),
        ("lcm-diffusion", "model.diffusion_steps=0", "model.diffusion_steps is at least 1"),
        ("llm", "train.lr=nan", "train.lr is a finite number, not nan"),
        ("llm", "train.clip=inf", "train.clip is a finite number, not inf"),
        ("codec", "objective.noise=nan", "objective.noise is a finite number, not nan"),
        ("llm", "data.max_sentences=1", "data.max_sentences is at least 2, not 1"),
        ("llm", "train.beta2=1.5", "train.beta2 is from 0 to below 1, not 1.5"),
        ("lcm-mse", "drawing.candidates=2", "candidates are all the same without noise"),
        ("llm", "drawing.token_temperature=1", "drawing is for a sonar-llm, not for llm"),
        ("llm", "train.seed=-1", "train.seed is at least 0, not -1"),
    ],
)
def test_values_that_nothing_can_be_built_from(name: str, change: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recipe.read(name, [change])


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no recipe in TOML"):
        recipe.read(str(tmp_path / "bin.toml"))


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is a folder, and a recipe is a name or a TOML file$"):
        recipe.read(str(tmp_path))
    (tmp_path / "recipe.toml").write_text(SMALL)
    with pytest.raises(UsageError, match=r"; .*/recipe\.toml is one$"):
        recipe.read(str(tmp_path))
