"""What the user sees: plain text and JSON Lines in pipes, prose and panels on a terminal."""

from sonar_cli.render.comparison import draw_comparison
from sonar_cli.render.continuations import Turns, Writer, writer
from sonar_cli.render.curves import draw_curves
from sonar_cli.render.output import STDOUT, naming, opened, write_whole
from sonar_cli.render.progress import Notices, bar, doing, downloads, pieces, progress, say
from sonar_cli.render.summaries import Summaries
from sonar_cli.render.tables import print_models, print_record, print_report

__all__ = [
    "STDOUT",
    "Notices",
    "Summaries",
    "Turns",
    "Writer",
    "bar",
    "doing",
    "downloads",
    "draw_comparison",
    "draw_curves",
    "naming",
    "opened",
    "pieces",
    "print_models",
    "print_record",
    "print_report",
    "progress",
    "say",
    "write_whole",
    "writer",
]
