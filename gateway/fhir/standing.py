"""A person's enrolment as Coverage, and a consent as Consent."""

from __future__ import annotations

from typing import Final

from gateway.fhir.parts import (
    CODES,
    HL7,
    Json,
    Told,
    concept,
    further,
    identifier,
    known_as,
    plain,
    span,
    without_none,
)

_STATES: Final = {
    "DRAFT": "draft", "AWAITING_PERSON": "proposed", "AUTHORISED": "active", "REJECTED": "rejected",
    "CONSUMED": "inactive", "EXPIRED": "inactive", "REVOKED": "inactive", "SUSPENDED": "inactive",
}  # fmt: skip
SCOPES: Final = "urn:sluice:scope"
PURPOSES: Final = "urn:sluice:purpose"


def coverage(told: Told, *, subject: str, reference: str, bureau: str = "bureau") -> Json:
    """An enrolment: `insutype`, `psn_type_group`, `insu_admdvs`, `coverage_status`, `coverage_from`
    and `coverage_to` (months or days), as far as they were told."""
    group, region = told.get("psn_type_group"), told.get("insu_admdvs")
    kinds = [
        {"type": concept(f"{CODES}{name}", name), "value": str(value)}
        for name, value in (("psn_type_group", group), ("insu_admdvs", region))
        if value is not None
    ]
    insured = told.get("coverage_status") in (None, "1")
    return without_none(
        resourceType="Coverage",
        id=reference,
        identifier=[identifier("coverage", reference)],
        status="active" if insured else "cancelled",
        type=concept(f"{CODES}insutype", told.get("insutype")),
        beneficiary=known_as("Patient", "subject", subject),
        period=span(told.get("coverage_from"), told.get("coverage_to")),
        payor=[known_as("Organization", "bureau", bureau)],
        **{"class": kinds},
    )


def consent(told: Told, *, subject: str, bureau: str = "bureau") -> Json:
    """A consent as its receiver or the person sees it, from the document `/v1/consents/{id}`."""
    receiver, window = told["receiver"], told["window"]
    return without_none(
        resourceType="Consent",
        id=str(told["consent_id"]),
        identifier=[identifier("consent_id", str(told["consent_id"]))],
        status=_STATES[told["state"]],
        scope=plain(f"{HL7}consentscope", "patient-privacy"),
        category=[plain("http://loinc.org", "59284-0")],
        patient=known_as("Patient", "subject", subject),
        dateTime=told.get("valid_from") or told["created_at"],
        organization=[known_as("Organization", "bureau", bureau)],
        policyRule=plain("urn:sluice:notice", str(told["notice_version"])),
        extension=list(_counted(told)),
        provision=without_none(
            type="permit",
            period=span(told.get("valid_from"), told.get("ended_at") or told.get("valid_to")),
            actor=[
                {
                    "role": plain(f"{HL7}v3-ParticipationType", "IRCP"),
                    "reference": known_as(
                        "Organization", "tenant", str(receiver["tenant"]), receiver.get("product")
                    ),
                }
            ],
            purpose=[{"system": PURPOSES, "code": str(told["purpose"])}],
            code=[concept(SCOPES, scope) for scope in told["scopes"]],
            dataPeriod=span(window["from"], window["to"]),
        ),
    )


def _counted(told: Told) -> list[Json]:
    """Uses, which R4 has no element for."""
    return [
        further(name, valueInteger=int(told[name]))
        for name in ("uses", "uses_max")
        if told.get(name) is not None
    ]
