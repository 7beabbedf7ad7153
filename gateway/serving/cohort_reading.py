"""From a request body to a cohort question, and what it leaves open decided."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date

import orjson
from pydantic import ValidationError

from gateway.catalogue.cohort import CohortContract
from gateway.cohorts.index import CohortIndex
from gateway.cohorts.question import (
    CohortAsk,
    EnrolledCriterion,
    EventCriterion,
    ValueCriterion,
    field_names,
)
from gateway.errors import BadRequest, Unavailable
from gateway.identity.model import Grant
from gateway.releases.manifest import Manifest
from gateway.serving.accept import JSON, choose
from gateway.serving.model import Call, Pinned
from gateway.serving.pinning import choose_grant, find_manifest
from gateway.serving.ports import Releases
from gateway.serving.questions import Question, SdcParameter, key_names, sets_disclosure
from gateway.serving.reasons import NotAcceptable, UnsupportedMedia

_KNOWN = field_names()


def read_cohort(call: Call) -> CohortAsk:
    """The question a call puts; raises `BadRequest`, or `SdcParameter` for an attempt at it."""
    if sets_disclosure(call.query):
        raise SdcParameter
    if call.query:
        raise BadRequest("invalid_parameter", "This address takes no parameters but its body.")
    if choose(call.accept) != JSON:
        raise NotAcceptable("not_acceptable", "")
    if (call.content_type or "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMedia("unsupported_media_type", "")
    try:
        return CohortAsk.model_validate_json(call.body)
    except ValidationError as error:
        raise _refused(call.body, error) from None


def _refused(body: bytes, error: ValidationError) -> BadRequest:
    try:
        names = set(key_names(orjson.loads(body))) - _KNOWN
    except orjson.JSONDecodeError:
        return BadRequest("malformed_json", "")
    if sets_disclosure(names):
        return SdcParameter()
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "the body"
    return BadRequest(
        "invalid_parameter", f"The body is no cohort question: {field}: {first['msg']}."
    )


def pin_cohort(
    contract: CohortContract,
    ask: CohortAsk,
    grants: Collection[Grant],
    today: date,
    *,
    releases: Releases,
    index_of: Callable[[str], CohortIndex],
) -> tuple[Pinned, CohortIndex]:
    """The question with grant and release decided, as policy and journal read it."""
    service = contract.as_service()
    manifest = find_manifest(releases, service, ask.release)
    try:
        index = index_of(manifest.release_id)
    except (OSError, ValueError) as error:
        raise Unavailable("release_unavailable", "") from error
    question = Question(
        service=service,
        purpose=ask.purpose,
        grain="year",
        periods=ask.period.years,
        geo=ask.geo,
        dims=ask.kinds,
        measures=("persons",),
        where=_named(ask, index),
        levels={},
        grant_id=ask.grant_id,
        release=ask.release,
        page_size=1,
        cursor=None,
    )
    grant = choose_grant(grants, question, today)
    measures = question.measures
    return Pinned(question, grant, measures, measures, manifest, 0, ask.digest), index


def _named(ask: CohortAsk, index: CohortIndex) -> dict[str, str]:
    """One code of each list, for the policy to look at: a code that the index does not have first,
    for sensitive ones are never in it."""
    found: dict[str, str] = {}
    for kind, codes in ask.asked_codes():
        strange = index.unlisted(kind, codes)
        if strange or kind not in found:
            found[kind] = (*strange, *codes)[0]
    return dict(sorted(found.items()))


def check_listed(
    contract: CohortContract, ask: CohortAsk, index: CohortIndex, manifest: Manifest
) -> None:
    """Refuse, once the policy has allowed the question, what the release cannot answer."""
    years = manifest.periods["year"]
    if not set(ask.period.years) <= set(years):
        raise BadRequest("period_not_released", "")
    if not set(ask.geo) <= set(index.geo):
        raise BadRequest("geo_not_released", "")
    for kind, codes in ask.asked_codes():
        if index.unlisted(kind, codes):
            raise BadRequest("value_not_listed", f"`{kind}`: a code is not in its closed list.")
    for fault in _faults(contract, ask):
        raise BadRequest("invalid_parameter", fault)


def _faults(contract: CohortContract, ask: CohortAsk) -> Iterator[str]:
    for each in ask.criteria:
        match each:
            case ValueCriterion(kind="index_year", values=values):
                if not set(values) <= set(ask.period.years):
                    yield "`index_year`: a year lies outside the period."
            case ValueCriterion(kind="age10" | "gend" as kind, values=values):
                if not set(values) <= set(contract.values[kind]):
                    yield f"`{kind}`: a value is not in its closed list."
            case EnrolledCriterion(before=before, after=after):
                if max(before, after) > contract.months:
                    yield f"`enrolled`: at most {contract.months} months before and after."
            case EventCriterion(within=within):
                if within is not None and within.days > contract.days:
                    yield f"`within`: at most {contract.days} days."
