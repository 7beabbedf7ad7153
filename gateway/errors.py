"""The error tree: everything a caller or operator can be told, with a stable code.

SluiceError                      code, message for people (English, Chinese), HTTP status
├── BadRequest        400        the request is not of the contract's form
├── Unauthenticated   401        no proof of who asks
├── Forbidden         403        a policy refusal that must interrupt (most refusals are values)
├── NotFound          404        unknown service or release; never about a person
├── Unprocessable     422        well formed, but outside what the profile or contract allows
├── TooMany           429        a quota is used up
├── Unavailable       503        a part the path cannot do without is down: refuse
└── OperatorError     (exit 1)   a command line verb cannot go on: bad file, failed check

Only `gateway.api.problems` turns these into HTTP, only `gateway.cli` into exit codes. No message
carries a row value or an identifier of a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


class SluiceError(Exception):
    """Something a person can be told: a stable code and one sentence to act on."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, code: str, message: str, zh: str = "", **extra: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.zh = zh
        self.extra = extra

    def __reduce__(self) -> tuple[object, ...]:
        """Survives the way from a worker process to its parent."""
        return _again, (type(self), self.code, self.message, self.zh, self.extra)


def _again(
    kind: type[SluiceError], code: str, message: str, zh: str, extra: dict[str, object]
) -> SluiceError:
    return kind(code, message, zh, **extra)


class BadRequest(SluiceError):
    status = 400
    title = "The request is not of the documented form"


class Unauthenticated(SluiceError):
    status = 401
    title = "No valid proof of identity"


class Forbidden(SluiceError):
    status = 403
    title = "The policy refuses this request"


class NotFound(SluiceError):
    status = 404
    title = "Not found"


class Gone(SluiceError):
    status = 410
    title = "No longer there"


class Unprocessable(SluiceError):
    status = 422
    title = "Outside what this service allows"


class TooMany(SluiceError):
    status = 429
    title = "Quota used up"


class Unavailable(SluiceError):
    status = 503
    title = "Temporarily unavailable"


class OperatorError(SluiceError):
    title = "The command cannot go on"


def wrong_places(name: str, error: ValidationError) -> str:
    """What is wrong with a document a person wrote, a line for each place; repeats no value."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"]) or "document"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is no such field here"
        lines.append(f"  {place}: {message}")
    return f"{name} cannot be used:\n" + "\n".join(lines)
