"""What the user sees: plain text and JSON Lines in pipes, prose and panels on a terminal."""

from sonar_cli.render.comparison import draw_comparison
from sonar_cli.render.continuations import Turns, Writer, writer
from sonar_cli.render.curves import draw_curves
from sonar_cli.render.doctor import print_findings
from sonar_cli.render.output import opened
from sonar_cli.render.progress import Notices, bar, counter, doing, downloads, pieces, progress, say
from sonar_cli.render.settings import OptionValue, print_settings
from sonar_cli.render.streams import REPLACE, STDOUT, leave, loses, prepare
from sonar_cli.render.summaries import Summaries
from sonar_cli.render.tables import print_models, print_record, print_report, show
from sonar_cli.render.visible import as_json

__all__ = [
    "REPLACE",
    "STDOUT",
    "Notices",
    "OptionValue",
    "Summaries",
    "Turns",
    "Writer",
    "as_json",
    "bar",
    "counter",
    "doing",
    "downloads",
    "draw_comparison",
    "draw_curves",
    "leave",
    "loses",
    "opened",
    "pieces",
    "prepare",
    "print_findings",
    "print_models",
    "print_record",
    "print_report",
    "print_settings",
    "progress",
    "say",
    "show",
    "writer",
]
