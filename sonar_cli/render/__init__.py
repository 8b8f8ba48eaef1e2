"""What the user sees: plain text and JSON Lines in pipes, prose and panels on a terminal."""

from sonar_cli.render.continuations import Writer, writer
from sonar_cli.render.progress import bar, doing, notice, progress
from sonar_cli.render.summaries import Summaries
from sonar_cli.render.tables import print_models, print_tables

__all__ = [
    "Summaries",
    "Writer",
    "bar",
    "doing",
    "notice",
    "print_models",
    "print_tables",
    "progress",
    "writer",
]
