"""The story world's plots: what one can want to do with a thing, and what gets in the way.

Each class of things has two wishes and three plots. Slots are in braces, as in `patterns`.
"""

from __future__ import annotations

from typing import NamedTuple


class Plot(NamedTuple):
    """One obstacle.

    `problem` is a main clause. `tried` and `solved` are predicates: what the main character did
    against the problem in vain, and what the helper did to solve it.
    """

    problem: str
    tried: str
    solved: str


# class of things -> what one can want to do with them (after "wanted to")
WISHES: dict[str, tuple[str, str]] = {
    "flying": ("fly the {thing} above the roofs", "see the {thing} soar in the sky"),
    "ball": ("win a match with the {thing}", "throw the {thing} with the other children"),
    "boat": ("sail the {thing} to the island", "race the {thing} against the waves"),
    "clothes": ("wear the {thing} to the party", "show the {thing} at the parade"),
    "book": ("read the {thing} aloud", "give the {thing} to {his} {relative}"),
    "music": ("play the {thing} at the concert", "learn a song on the {thing}"),
    "treat": ("share the {thing} with everyone", "bring the {thing} to the fair"),
    "plant": ("plant the {thing} in the ground", "watch the {thing} grow tall"),
    "toy": ("take the {thing} everywhere", "build a home for the {thing}"),
    "wheels": ("ride the {thing} down the road", "travel far with the {thing}"),
    "jewel": ("wear the {thing} at the dance", "return the {thing} to its owner"),
    "tool": ("use the {thing} on a journey", "repair the {thing} for {his} {relative}"),
    "house": ("sleep in the {thing} all night", "decorate the {thing} with ribbons"),
    "art": ("hang the {thing} on the wall", "finish the {thing} before supper"),
}

# class of things -> the plots of which a story has one
PLOTS: dict[str, tuple[Plot, Plot, Plot]] = {
    "flying": (
        Plot(
            "the {thing} was stuck in a tall {tree}",
            "climbed the {tree} and slipped",
            "shook the {tree} until the {thing} fell down",
        ),
        Plot(
            "the wind blew the {thing} over a fence",
            "jumped at the fence again and again",
            "crawled under the fence and got the {thing} back",
        ),
        Plot(
            "the string of the {thing} was tangled",
            "pulled at the knot with both hands",
            "bit through the knot and freed the {thing}",
        ),
    ),
    "ball": (
        Plot(
            "the {thing} rolled under a {furniture}",
            "reached under the {furniture} with one arm",
            "squeezed under the {furniture} and pushed the {thing} out",
        ),
        Plot(
            "the {thing} fell into a deep hole",
            "dug in the hole with a spoon",
            "filled the hole with water and the {thing} floated up",
        ),
        Plot(
            "a tall boy took the {thing} away",
            "asked the boy for the {thing} five times",
            "asked the boy nicely and he gave the {thing} back",
        ),
    ),
    "boat": (
        Plot(
            "the {thing} had a leak in the bottom",
            "plugged the leak with {material}",
            "patched the leak and the {thing} stayed dry",
        ),
        Plot(
            "the {thing} drifted far from the shore",
            "waded after the {thing} up to the knees",
            "swam out and towed the {thing} home",
        ),
        Plot(
            "the sail of the {thing} was torn",
            "glued the sail of the {thing} with syrup",
            "sewed the sail of the {thing} with strong thread",
        ),
    ),
    "clothes": (
        Plot(
            "the {thing} had a hole in it",
            "tied the hole of the {thing} with string",
            "mended the hole in the {thing} with a needle",
        ),
        Plot(
            "the {thing} was covered with mud",
            "rubbed the mud with a leaf",
            "washed the {thing} with soap until the mud was gone",
        ),
        Plot(
            "{bugs} were living in the {thing}",
            "blew at the {bugs} very hard",
            "led the {bugs} away with a drop of honey",
        ),
    ),
    "book": (
        Plot(
            "some pages of the {thing} were missing",
            "searched for the pages in a {box}",
            "found the pages of the {thing} behind a {furniture}",
        ),
        Plot(
            "nobody could read the tiny writing in the {thing}",
            "held the {thing} close to the nose",
            "brought a magnifying glass for the {thing}",
        ),
        Plot(
            "the {thing} was locked in a {box}",
            "tried to open the {box} with a fork",
            "found the key to the {box} and took out the {thing}",
        ),
    ),
    "music": (
        Plot(
            "the {thing} made only a {sound}",
            "shook the {thing} and tapped it twice",
            "cleaned the dust out of the {thing}",
        ),
        Plot(
            "one part of the {thing} was broken",
            "wrapped the {thing} in tape",
            "carved a new part for the {thing}",
        ),
        Plot(
            "a grumpy man forbade the {thing}",
            "played the {thing} under a blanket",
            "danced to the {thing} until the man laughed",
        ),
    ),
    "treat": (
        Plot(
            "{bugs} were marching toward the {thing}",
            "waved a towel at the {bugs}",
            "carried the {thing} to a high {furniture}",
        ),
        Plot(
            "the {thing} was burned on one side",
            "scraped the {thing} with a knife",
            "covered the {thing} with {food} and cream",
        ),
        Plot(
            "there was no sugar left for the {thing}",
            "looked for sugar in every {box}",
            "brought a {box} of honey for the {thing}",
        ),
    ),
    "plant": (
        Plot(
            "the earth was too dry for the {thing}",
            "carried water to the {thing} in a spoon",
            "dug a little canal to the {thing}",
        ),
        Plot(
            "hungry {bugs} were nibbling at the {thing}",
            "scolded the {bugs} for an hour",
            "planted {flowers} around the {thing} and the {bugs} left",
        ),
        Plot(
            "a big rock was in the way of the {thing}",
            "pushed the rock with both feet",
            "rolled the rock away from the {thing} with a {tool}",
        ),
    ),
    "toy": (
        Plot(
            "the {thing} had lost a piece",
            "drew the piece of the {thing} with chalk",
            "found the piece and put it back on the {thing}",
        ),
        Plot(
            "the {thing} was lost behind the {furniture}",
            "poked behind the {furniture} with a broom",
            "crept behind the {furniture} and saved the {thing}",
        ),
        Plot(
            "the {thing} was on the highest {furniture}",
            "stood on tiptoe beside the {furniture}",
            "hopped on the {furniture} and handed down the {thing}",
        ),
    ),
    "wheels": (
        Plot(
            "one wheel of the {thing} was bent",
            "hit the wheel of the {thing} with a {tool}",
            "straightened the wheel of the {thing} with a {tool}",
        ),
        Plot(
            "the {thing} was stuck in the mud",
            "pushed the {thing} until sunset",
            "tied a rope to the {thing} and pulled it out",
        ),
        Plot(
            "a fallen {tree} blocked the road",
            "tried to lift the {thing} over the {tree}",
            "gnawed a path for the {thing} through the {tree}",
        ),
    ),
    "jewel": (
        Plot(
            "the {thing} dropped into a well",
            "lowered a {tool} into the well",
            "dived into the well and brought up the {thing}",
        ),
        Plot(
            "a thief hid the {thing} in a {box}",
            "peeked into every {box} but one",
            "opened the right {box} and there was the {thing}",
        ),
        Plot(
            "the {thing} was dull and dirty",
            "polished the {thing} with a sleeve",
            "polished the {thing} with {material} and it glowed",
        ),
    ),
    "tool": (
        Plot(
            "a screw was missing from the {thing}",
            "looked for the screw in a {box}",
            "found the screw of the {thing} in the grass",
        ),
        Plot(
            "the {thing} did not work at all",
            "knocked on the {thing} three times",
            "turned a tiny wheel and the {thing} worked",
        ),
        Plot(
            "the glass of the {thing} was cracked",
            "hid the crack in the {thing} with {material}",
            "put new glass into the {thing}",
        ),
    ),
    "house": (
        Plot(
            "a storm knocked the {thing} over",
            "lifted the {thing} without a rest",
            "held the {thing} up with a {tool}",
        ),
        Plot(
            "rain was dripping into the {thing}",
            "put a {box} under the drip",
            "made a roof of {material} for the {thing}",
        ),
        Plot(
            "the {thing} was too small for two",
            "leaned against the side of the {thing}",
            "built a second room beside the {thing}",
        ),
    ),
    "art": (
        Plot(
            "the {color} paint for the {thing} was gone",
            "mixed mud and berries for the {thing}",
            "made {color} paint from {flowers} for the {thing}",
        ),
        Plot(
            "the {thing} broke in two pieces",
            "pressed the pieces of the {thing} together",
            "joined the pieces of the {thing} with {material}",
        ),
        Plot(
            "somebody spilled {drink} on the {thing}",
            "dried the {thing} with a napkin",
            "turned the spot of {drink} on the {thing} into a flower",
        ),
    ),
}
