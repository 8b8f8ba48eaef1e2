"""The options of `sonar-llm continue`, and those of them that `evaluate` has too."""

from __future__ import annotations

from sonar_cli.cli.declare import group, option
from sonar_cli.cli.options import DEFAULTS, MOST_BEAMS, NEXT, reencode
from sonar_cli.cli.parameters import Number, Seed, Whole
from sonar_cli.options import RANGES, GenerationOptions

DIFFUSION = "Diffusion (models of that kind)"
# How a sentence is drawn; together with `sampling` for commands that measure what is written.
DRAWN = (
    option(
        "--temperature", section=NEXT, type=Number(*RANGES["temperature"]), metavar="T",
        help="Size of the noise on the predicted meaning (default: the model's own, or 0: none).",
    ),
    option(
        "--token-temperature", section=NEXT, type=Number(*RANGES["token_temperature"]), metavar="T",
        help="Draw a sentence's tokens from the decoder's distribution at this temperature; 0 "
        "searches for the likeliest sentence (default: the model's own, or 0).",
    ),
    option(
        "--candidates", section=NEXT, type=Whole(1, 256), metavar="K",
        help="With a temperature: decode K sentences and choose one (default: the model's own, "
        "or 1).",
    ),
    option(
        "--top-p", section=NEXT, type=Number(*RANGES["top_p"], min_open=True), metavar="P",
        help="Draw from the most likely candidates, or tokens, that hold this share (default: the "
        "model's own, or 1).",
    ),
    option(
        "--seed", section=NEXT, type=Seed(), metavar="N",
        help="The same text every time on the same device, and for another number another one.",
    ),
)  # fmt: skip
generation = group(
    "generation",
    GenerationOptions,
    option(
        "-n", "--sentences", section=NEXT, default=DEFAULTS.sentences, show_default=True,
        type=Whole(1), metavar="N", help="How many sentences to write at most.",
    ),
    option(
        "--begin/--no-begin", section=NEXT, default=None,
        help='Put "Begin of text." in front (default: what the model\'s config says).',
    ),
    option(
        "--stop-threshold", section=NEXT, type=Number(*RANGES["stop_threshold"]), metavar="COSINE",
        help="Cosine to the end-of-text sentence that ends the text (default: 0.98 for SONAR-LLM, "
        "0.9 for LCMs).",
    ),
    option(
        "--repeat-threshold", section=NEXT, type=Number(*RANGES["repeat_threshold"]),
        metavar="COSINE",
        help="Stop when a meaning comes back (default: off for SONAR-LLM but 0.95 for 1.3b, which "
        "loops; 0.9, to the sentence before, for LCMs); 2 is never.",
    ),
    reencode,
    *DRAWN,
    option(
        "--llm-beams", section=NEXT, default=DEFAULTS.llm_beams, show_default=True,
        type=Whole(1, MOST_BEAMS), metavar="N",
        help="Token-level models: beams of the search for the whole continuation.",
    ),
    option(
        "--diffusion-steps", section=DIFFUSION, default=DEFAULTS.diffusion_steps,
        show_default=True, type=Whole(1), metavar="N",
        help="About how many steps a vector is sampled in.",
    ),
    option(
        "--guidance", section=DIFFUSION, default=DEFAULTS.guidance, show_default=True,
        type=Number(*RANGES["guidance"]), metavar="SCALE",
        help="How much the text counts; 1 is what was trained, 0 leaves the text out.",
    ),
    option(
        "--initial-noise", section=DIFFUSION, default=DEFAULTS.initial_noise, show_default=True,
        type=Number(*RANGES["initial_noise"]), metavar="S",
        help="Standard deviation of the noise at the start.",
    ),
)  # fmt: skip


def _sampled(
    reencode: bool | None,
    temperature: float | None,
    token_temperature: float | None,
    candidates: int | None,
    top_p: float | None,
    seed: int | None,
) -> GenerationOptions:
    """Return the options of a measurement, which finds the same every time: its seed is 0."""
    return GenerationOptions(
        reencode=reencode, temperature=temperature, token_temperature=token_temperature,
        candidates=candidates, top_p=top_p, seed=seed or 0,
    )  # fmt: skip


sampling = group("generation", _sampled, reencode, *DRAWN)
