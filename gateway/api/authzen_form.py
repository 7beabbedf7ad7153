"""The requests of the AuthZEN Authorization API 1.0, read strictly.

Form is what the standard says: subject, resource, action, context. A body that is not of this form
is a bad request. What the attributes mean is `gateway.api.authzen_mapping`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from gateway.errors import BadRequest

Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Attributes: TypeAlias = dict[str, Any]  # JSON; the mapping names every attribute it knows
Semantic: TypeAlias = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]

SEMANTICS: tuple[Semantic, ...] = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")


class Entity(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A subject or a resource."""

    type: Text
    id: Text
    properties: Attributes = {}


class Action(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is to be done."""

    name: Text
    properties: Attributes = {}


class Evaluation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One complete question."""

    subject: Entity
    action: Action
    resource: Entity
    context: Attributes = {}


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How a batch is run."""

    evaluations_semantic: Semantic = "execute_all"


class _Batch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a batch: defaults, items, options. Items are read one by one."""

    subject: Any = None
    action: Any = None
    resource: Any = None
    context: Any = None
    evaluations: list[dict[str, Any]] | None = None
    options: Options = Options()


class Batch(msgspec.Struct, frozen=True):
    """Items in order; one that is no evaluation stands as the sentence that says why."""

    items: tuple[Evaluation | str, ...]
    semantic: Semantic


_DEFAULTS = ("subject", "action", "resource", "context")
_ONE = msgspec.json.Decoder(Evaluation, strict=True)
_MANY = msgspec.json.Decoder(_Batch, strict=True)


def read_evaluation(body: bytes) -> Evaluation:
    """The one evaluation of a body."""
    try:
        return _ONE.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _bad_form(error) from None


def read_evaluations(body: bytes, most: int) -> Evaluation | Batch:
    """A batch, each item completed by the defaults; without items the one that the defaults are."""
    try:
        asked = _MANY.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _bad_form(error) from None
    given = {name: getattr(asked, name) for name in _DEFAULTS}
    defaults = {name: value for name, value in given.items() if value is not None}
    if not asked.evaluations:
        return _only(defaults)
    if len(asked.evaluations) > most:
        raise BadRequest("invalid_parameter", f"More than {most} evaluations in one call.")
    items = tuple(_item({**defaults, **item}) for item in asked.evaluations)
    return Batch(items, asked.options.evaluations_semantic)


def _only(defaults: Attributes) -> Evaluation:
    try:
        return msgspec.convert(defaults, Evaluation)
    except msgspec.ValidationError as error:
        raise _bad_form(error) from None


def _item(given: Attributes) -> Evaluation | str:
    try:
        return msgspec.convert(given, Evaluation)
    except msgspec.ValidationError as error:
        return f"Not an evaluation: {error}."


def _bad_form(error: Exception) -> BadRequest:
    """What is wrong with the form; the decoder's sentences name places and types, no values."""
    if isinstance(error, msgspec.ValidationError):
        return BadRequest("invalid_parameter", f"The body is no evaluation: {error}.")
    return BadRequest("malformed_json", "")
