"""The command line: arguments -> options -> api -> render. A file a command."""

from sonar_cli.cli.main import cli, main, run

__all__ = ["cli", "main", "run"]
