"""From a request body to a canonical question: the same question whatever order it is written in.

The body is validated once, strictly; an unknown field is refused, and a field that tries to set
disclosure control is refused under its own code so that the attempt is recorded.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import msgspec
import orjson

from gateway.catalogue.model import Service
from gateway.catalogue.own import own_dims
from gateway.errors import BadRequest
from gateway.serving import cursor as cursors
from gateway.serving.periods import expand

Grain: TypeAlias = Literal["month", "quarter", "year"]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
Ident: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}\Z")]
Value: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Names: TypeAlias = Annotated[list[Name], msgspec.Meta(max_length=64)]
Level: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=9)]
Region: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{6}\Z")]

DEFAULT_PAGE = 500
LARGEST_PAGE = 5000
_SHORT, _MOST_KNOWN = 2048, 1024

_SDC = re.compile(
    r"(k|dp|sdc|noise|dominance|disclosure|n_?rule|p_?rule|p_?percent)"
    r"|.*(k_?person|suppress|round|threshold|epsilon|profile|unmask|percentile|sig_?digits?).*"
    r"|(min|max|top[0-9])_.*"
)


class Range(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The periods asked for, both ends included."""

    first: Annotated[str, msgspec.Meta(max_length=8)] = msgspec.field(name="from")
    last: Annotated[str, msgspec.Meta(max_length=8)] = msgspec.field(name="to")
    grain: Grain


class Ask(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a query, as the caller wrote it."""

    purpose: Name
    period: Range
    geo: Annotated[list[Region], msgspec.Meta(min_length=1, max_length=200)]
    dims: Names = msgspec.field(default_factory=list)
    measures: Annotated[Names, msgspec.Meta(min_length=1)] | None = None
    where: Annotated[dict[Name, Value], msgspec.Meta(max_length=16)] | None = None
    levels: Annotated[dict[Name, Level], msgspec.Meta(max_length=4)] | None = None
    grant_id: Ident | None = None
    release: Ident | None = None
    page_size: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)] | None = None
    cursor: Annotated[str, msgspec.Meta(max_length=cursors.LONGEST)] | None = None


class SdcParameter(BadRequest):
    """The client tried to set disclosure control; the attempt is recorded as a refusal."""

    def __init__(self) -> None:
        super().__init__("client_sdc_parameter", "")


@dataclass(frozen=True)
class Question:
    """A canonical question: every list in contract order, every period written out."""

    service: Service
    purpose: str
    grain: Grain
    periods: tuple[str, ...]
    geo: tuple[str, ...]
    dims: tuple[str, ...]
    measures: tuple[str, ...]  # empty: all the cell has
    where: Mapping[str, str]
    levels: Mapping[str, int]
    grant_id: str | None
    release: str | None
    page_size: int
    cursor: str | None

    def digest(self, grant_id: str, measures: Iterable[str]) -> str:
        """What makes two requests the same question under the same grant."""
        canonical = (
            (self.service.id, grant_id, self.purpose, self.grain, self.periods, self.geo),
            (self.dims, tuple(measures), dict(self.where), dict(self.levels)),
        )
        return hashlib.sha256(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)).hexdigest()


_DECODER = msgspec.json.Decoder(Ask, strict=True)


def key_names(value: object) -> Iterator[str]:
    """Every object key in a decoded body, at any depth."""
    pending = [value]
    while pending:
        match pending.pop():
            case dict() as node:
                yield from node
                pending.extend(node.values())
            case list() as items:
                pending.extend(items)
            case _:
                pass


def sets_disclosure(names: Iterable[str]) -> bool:
    """Whether one of these names, unknown to the contract, is meant to steer disclosure control."""
    return any(_SDC.fullmatch(name.lower().replace("-", "_")) for name in names)


_KNOWN = frozenset(Ask.__struct_encode_fields__) | frozenset(Range.__struct_encode_fields__)


def _refuse_shape(body: bytes, error: Exception) -> BadRequest:
    """Why a body that is no query was refused: not JSON, an attempt on disclosure, or its form."""
    try:
        names = set(key_names(orjson.loads(body))) - _KNOWN
    except orjson.JSONDecodeError:
        return BadRequest("malformed_json", "")
    if sets_disclosure(names):
        return SdcParameter()
    return BadRequest("invalid_parameter", f"The body is no query: {error}.")


def _unique(values: Collection[str], field: str) -> set[str]:
    if len(unique := set(values)) != len(values):
        raise BadRequest(
            "invalid_parameter", f"The body is not a query: `{field}` repeats a value."
        )
    return unique


def _in_contract_order(names: set[str], contract: Iterable[str]) -> tuple[str, ...]:
    known = tuple(name for name in contract if name in names)
    return known + tuple(sorted(names.difference(known)))


def read_ask(body: bytes) -> Ask:
    """The body, validated strictly."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _refuse_shape(body, error) from None


def read_question(service: Service, body: bytes) -> Question:
    """The canonical question a body puts to a service."""
    ask = read_ask(body)
    where, levels = ask.where or {}, ask.levels or {}
    contract = tuple(dim.name for dim in (*service.dims, *own_dims(service)) if not dim.pivot)
    if sets_disclosure({*where, *levels}.difference(contract)):
        raise SdcParameter()
    dims = _unique(ask.dims, "dims") | where.keys()
    return Question(
        service=service,
        purpose=ask.purpose,
        grain=ask.period.grain,
        periods=expand(ask.period.first, ask.period.last, ask.period.grain),
        geo=tuple(sorted(_unique(ask.geo, "geo"))),
        dims=_in_contract_order(dims, contract),
        measures=_in_contract_order(
            _unique(ask.measures or (), "measures"),
            (measure.name for measure in service.measures if not measure.internal),
        ),
        where=dict(sorted(where.items())),
        levels=dict(sorted(levels.items())),
        grant_id=ask.grant_id,
        release=ask.release,
        page_size=ask.page_size or DEFAULT_PAGE,
        cursor=ask.cursor,
    )


class Questions:
    """The questions read last: the same body put to the same contract is the same question. To be
    used within one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], Question] = OrderedDict()

    def read(self, service: Service, body: bytes) -> Question:
        """As `read_question`."""
        if len(body) > _SHORT:
            return read_question(service, body)
        known = self._known.get((service.id, body))
        if known is not None and known.service is service:
            return known
        question = self._known[service.id, body] = read_question(service, body)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return question
