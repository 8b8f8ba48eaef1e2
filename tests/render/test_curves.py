"""The curves of a training: what a log says, as a PNG and as text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from matplotlib.image import imread

from sonar_cli.cli import run
from sonar_cli.render import curves
from sonar_cli.render.curves import NATS, SQUARED, Panel

LINES: list[Mapping[str, object]] = [
    {"step": 50, "loss": 40.0, "lr": 0.001, "seconds": 1.2},
    {"step": 60, "loss": 30.0, "valid_loss": 35.0},
    {"step": 100, "loss": 2.0, "lr": 0.0005, "seconds": 2.4, "valid_loss": float("nan")},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES) + '{"step": 150, "lo')
    return file


def test_a_log_is_read_by_names_without_a_line_that_was_cut_off(log: Path) -> None:
    found = curves.read_log(log)
    assert found["loss"] == [(50, 40.0), (60, 30.0), (100, 2.0)]
    assert found["valid_loss"] == [(60, 35.0)]
    log.write_text('[]\n3\n{"loss": 1.0}\n{"step": 1, "loss": "high"}\n')
    assert curves.read_log(log) == {}


@pytest.mark.parametrize(
    ("system", "unit"),
    [("sonar-llm", NATS), ("llm", NATS), ("lcm-mse", SQUARED), ("lcm-diffusion", SQUARED)],
)
def test_both_losses_share_a_panel_in_the_systems_unit(log: Path, system: str, unit: str) -> None:
    (panel,) = curves.panels(curves.read_log(log), system)
    assert panel.label == f"{system}: {unit}" and list(panel.lines) == ["training", "validation"]
    assert panel.logarithmic


def test_what_has_another_unit_has_a_panel_of_its_own() -> None:
    loss = [(50, 2.0), (150, 5.0)]
    shown = curves.panels({"loss": loss, "exact": [(150, 0.0)]}, "codec")
    assert shown == [
        Panel(f"codec: {NATS}", {"training": loss}),
        Panel("codec: sentences given back (share)", {"exact": [(150, 0.0)]}),
    ]
    assert not shown[0].logarithmic and not shown[1].logarithmic
    assert curves.panels({}, "codec") == []


def test_the_png_has_a_line_of_each_colour(log: Path, tmp_path: Path) -> None:
    png = tmp_path / "curves.png"
    curves.draw_png(curves.panels(curves.read_log(log), "llm"), png, "run (llm)")
    assert png.read_bytes().startswith(b"\x89PNG") and not list(tmp_path.glob("*.partial"))
    image = imread(png)[..., :3]
    red, blue = image[..., 0], image[..., 2]
    assert ((blue > red + 0.3).sum() > 200) and ((red > blue + 0.5).sum() > 20)
    assert image.shape[1] > 800


def test_in_the_terminal_are_title_names_and_numbers(capsys, monkeypatch, log: Path) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    curves.draw_terminal(curves.panels(curves.read_log(log), "llm"), "run (llm)")
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and "run (llm)" in lines[0]
    for word in ("training", "validation", NATS, "step", "50", "100", "40.0", "2.0"):
        assert word in captured.err, word
    assert max(map(len, lines)) == 70 and "\x1b" not in captured.err


@pytest.mark.parametrize("plain", [False, True])
def test_a_terminal_gets_colours_unless_they_are_not_wanted(log: Path, plain: bool) -> None:
    import pty

    parent, child = pty.openpty()
    code = (
        "import sys; from pathlib import Path; from sonar_cli.render import curves; "
        "curves.draw_terminal(curves.panels(curves.read_log(Path(sys.argv[1])), 'llm'), 'run')"
    )
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    more = {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if plain else {})
    done = subprocess.run([sys.executable, "-c", code, str(log)], stderr=child, env=kept | more)
    os.close(child)
    shown = os.read(parent, 1 << 16)
    os.close(parent)
    assert done.returncode == 0 and b"run" in shown
    assert (b"\x1b[" in shown) is not plain


@pytest.mark.parametrize(
    ("absent", "terminal"), [(["matplotlib", "plotext"], True), (["matplotlib"], False)]
)
def test_missing_libraries_are_one_line(
    capsys, monkeypatch, log: Path, absent: list[str], terminal: bool
) -> None:
    from sonar_cli.render import Notices

    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.figure", None)
    png = log.parent / "curves.png"
    curves.draw_curves([(log, "llm")], png, "run", terminal=terminal, notify=Notices(True))
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "pip install 'sonar-llm[train]'" in err
    assert not png.exists()


def test_a_png_that_cannot_be_written_is_said(log: Path) -> None:
    told: list[str] = []
    png = log.parent / "nowhere" / "curves.png"
    curves.draw_curves([(log, "llm")], png, "run", terminal=False, notify=told.append)
    assert told == [f"{png} could not be written: No such file or directory"]


SMALL = {
    "codec": [
        "data.stories=30", "data.valid=0.2", "model.width=32", "model.layers=1",
        "model.heads=2", "model.encoder_ffn=32", "model.decoder_ffn=32",
        "model.vocabulary=500", "train.batch=8",
    ],
    "lcm-mse": [
        "data.stories=30", "model.hidden=32", "model.ffn=48", "model.layers=1", "model.heads=2",
        "train.batch=4",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_a_training_ends_with_its_curves(capsys, tmp_path: Path, monkeypatch, name: str) -> None:
    steps = ["train.steps=4", "train.validate_every=2", "train.warmup=1"]
    out = tmp_path / "run"
    arguments = ["train", name, *SMALL[name], *steps, "-o", str(out), "--device", "cpu"]
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{out / 'model'}\n", "")
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    # The same command once more draws them anew; without the libraries it still ends well.
    (out / "curves.png").unlink()
    assert run(arguments) == 0 and (out / "curves.png").exists()
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for quiet in ([], ["--quiet"]):
        assert run([*arguments, *quiet]) == 0
        captured = capsys.readouterr()
        assert captured.out == f"{out / 'model'}\n"
        assert ("sonar-llm[train]" in captured.err) is not bool(quiet)
