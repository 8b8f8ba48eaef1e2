"""What the server is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from sonar_cli.errors import UsageError


@dataclass(frozen=True)
class ServeOptions:
    """Where the server listens, who may use it, and how much it takes.

    `port` 0 is any free one. `queue` is how many texts wait at most beside those that are written.
    A request has at most `max_body` bytes, and a text of it `max_chars` characters and at most
    `sentences` new sentences. `grace` is how many seconds running requests have at the end.

    >>> ServeOptions(host="0.0.0.0")
    Traceback (most recent call last):
    sonar_cli.errors.UsageError: others can reach 0.0.0.0: give --token, or --no-token to let all in
    >>> ServeOptions(host="0.0.0.0", no_token=True).is_local
    False
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    no_token: bool = False
    queue: int = 64
    sentences: int = 32
    max_chars: int = 100_000
    max_body: int = 1 << 20
    grace: int = 10

    def __post_init__(self) -> None:
        if self.token and self.no_token:
            raise UsageError("--token and --no-token exclude each other; give one")
        if not (self.token or self.no_token or self.is_local):
            raise UsageError(
                f"others can reach {self.host}: give --token, or --no-token to let all in"
            )
        if self.token and not (self.token.isascii() and self.token.isprintable()):
            raise UsageError("a token is of printable ASCII characters, as HTTP's headers are")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
