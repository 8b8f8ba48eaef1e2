"""What goes wrong with a request, in the form and with the statuses that OpenAI's clients know."""

from __future__ import annotations

from typing import Any

from sonar_cli.errors import InputError, SonarError, UsageError


class Refused(Exception):
    """A request that is not carried out; `status` is that of HTTP.

    `param` is the field that is to blame, `code` a word for programs, `headers` come with the
    answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON.

        >>> Refused(404, "no such model", param="model").body()["error"]["type"]
        'invalid_request_error'
        """
        other = "invalid_request_error" if self.status < 500 else "api_error"
        kind = _KINDS.get(self.status, other)
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": error}


_KINDS = {401: "authentication_error", 429: "rate_limit_error"}


class Busy(Exception):
    """There is no place for so many more texts; there may be one in so many `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Closing(Exception):
    """The server ends, and takes nothing more."""


def refusal(error: BaseException) -> Refused:
    """Return what a client is told of an error: the whole line only where it is of our own.

    >>> refusal(UsageError("no such language")).status, refusal(KeyError("secret")).status
    (422, 500)
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, Busy):
        return Refused(
            429, f"all places are taken; try again in {error.seconds} s",
            code="rate_limit_exceeded", headers={"Retry-After": str(error.seconds)},
        )  # fmt: skip
    if isinstance(error, Closing):
        return Refused(503, "the server ends", code="closing")
    if isinstance(error, (UsageError, InputError)):
        return Refused(422, str(error))
    if isinstance(error, SonarError):
        return Refused(500, str(error))
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Refused(503, "out of memory; try a shorter text", code="out_of_memory")
    return Refused(500, "the server failed; what happened is in its log")
