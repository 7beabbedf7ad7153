"""The path of one question about one person: identify, decide, read, mask, record, answer.

As `gateway.serving.answer`, whose door, policy, quotas and journal it uses. What differs: there is
always a person and a consent, the use of the consent is counted before the answer is recorded, and
a refusal shows the group of its reasons alone, after the same work whoever was asked about.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import orjson

from gateway.catalogue.person import PersonContract
from gateway.claims import entries
from gateway.claims.asking import (
    Adjudication,
    Asked,
    Eligibility,
    Verification,
    media_of,
    months,
    params,
    read_ask,
)
from gateway.claims.book import Book, Noted, NoUse
from gateway.claims.decisions import Decisions, Probing, Put
from gateway.claims.entries import Judged
from gateway.claims.meta import meta_of
from gateway.claims.party import Party, find_grant, find_party, grant_id, places
from gateway.claims.proving import Proofs
from gateway.claims.reading import leaving, statements, withheld
from gateway.claims.telling import Naming, Said, eligibility, verification
from gateway.editions.running import Running
from gateway.errors import BadRequest, NotFound
from gateway.fhir.verified import verified
from gateway.identity.sealing import MEDIA as SEALED
from gateway.identity.sealing import Seal
from gateway.journal.counters import Hold
from gateway.persons.keeping import name_mac
from gateway.persons.port import Found, PersonSource
from gateway.policy.port import (
    AskedPeriod,
    AskingTenant,
    AskingUser,
    Decision,
    Obligations,
    PolicyInput,
    Usage,
)
from gateway.quota.port import QuotaUnproven
from gateway.serving.accept import JSON, NAMES
from gateway.serving.answer import Desk
from gateway.serving.asking import most_fen
from gateway.serving.entries import attempt
from gateway.serving.model import Answer, Call, Case, Refusal
from gateway.serving.questions import SdcParameter
from gateway.serving.reasons import Conflict
from gateway.serving.refusals import NOT_COVERED, PERSON, SDC, attempt_decision, refusal
from gateway.serving.repeats import KeyUse, arriving, uses_nothing
from metering.calendar import day_of

_CONSENT: Final = "D6"


@dataclass(frozen=True)
class ClaimDesk:
    """Everything needed to answer; assembled once, in `gateway.app`."""

    desk: Desk
    source: PersonSource
    book: Book
    decisions: Decisions
    proofs: Proofs
    issuer: str
    stopped: Callable[[], Collection[str]]
    """References of the persons whose data the bureau has stopped."""

    async def answer(self, call: Call) -> Answer | Refusal:
        """Answer the question, or refuse it; either way it is on record."""
        case = await self.desk.identify(call)
        with self.desk.editions.take(case.caller.tenant_id) as edition:
            contract = edition.catalogue.person(call.service)
            if contract is None:
                raise NotFound("unknown_service", "")
            if not case.caller.may_ask(contract.id):
                return await self._refuse_attempt(case, contract, NOT_COVERED, edition)
            try:
                media, ask = media_of(contract.id, call), read_ask(contract.id, call)
            except SdcParameter:
                return await self._refuse_attempt(case, contract, SDC, edition)
            seal = self.proofs.seal(case.caller.client_id)
            hashed = bytes.fromhex(
                self.book.hashed("body", f"{contract.id}\0{hashlib.sha256(call.body).hexdigest()}")
            )
            async with arriving(self.desk.journal, case, contract.id, media, hashed) as key:
                if key is None:
                    raise BadRequest("idempotency_key_needed", "")
                return await _Path(self, case, contract, ask, edition, key, media, seal).run()

    async def _refuse_attempt(
        self, case: Case, contract: PersonContract, code: str, edition: Running
    ) -> Refusal:
        decision = attempt_decision(edition.policy.version, code)
        await self.desk.journal.record(attempt(case, contract.id, decision))
        return refusal(decision, case.stamp.time, grain=PERSON)


@dataclass(frozen=True)
class _Path:
    """One question on its way."""

    office: ClaimDesk
    case: Case
    contract: PersonContract
    ask: Asked
    edition: Running
    key: KeyUse
    media: str
    seal: Seal | None

    @property
    def desk(self) -> Desk:
        return self.office.desk

    async def run(self) -> Answer | Refusal:
        """Find the person, ask the policy, answer or refuse."""
        case, ask = self.case, self.ask
        grants = self.edition.grants_for(case.caller.tenant_id)
        grant = find_grant(grants, self.contract.id, ask, _today(case))
        under = grant_id(grant, ask)
        with self._reserve(under) as hold:
            geo = places(grant, self.edition.bounds.regions)
            for last in (False, True):
                party = await self._party(under)
                judged = await self._judge(party, hold, under, geo)
                told = judged.decision.obligations
                if told is None:
                    return await self._refuse(judged, party)
                try:
                    return await self._answer(judged, told, party, hold)
                except NoUse:
                    # The consent ended meanwhile: the policy is asked again, as it stands now.
                    if last:
                        await self.desk.journal.record(entries.unanswered(judged, "failed"))
                        raise
        raise AssertionError  # the second round returns or raises

    async def _party(self, grant: str) -> Party:
        """Who is asked about; where the product has no rules, as if there were no consent."""
        office, ask = self.office, self.ask
        party = await find_party(office.book, office.source, self.case, ask, grant)
        if isinstance(ask, Adjudication):
            tenant = self.case.caller.tenant_id
            if not await asyncio.to_thread(office.decisions.offers, tenant, ask.product):
                return party.without_consent()
        return party

    def _reserve(self, grant: str) -> Hold:
        repeat = self.key.before is not None
        return self.desk.journal.counters.reserve(
            grant,
            entries.digest_of(self.contract.id),
            0 if repeat else 1,
            self.case.stamp.time,
            tenant=self.case.caller.tenant_id,
            estimate_fen=0 if repeat else most_fen(self.contract.tariff, 1),
        )

    async def _judge(self, party: Party, hold: Hold, grant: str, geo: tuple[str, ...]) -> Judged:
        """The decision that holds over all replicas; where that cannot be shown, nothing leaves."""
        repeat = self.key.before is not None
        if repeat:
            party = party.as_answered()
        usage = uses_nothing(hold) if repeat else self.desk.quotas.seen(hold)
        own = {} if repeat else _of_person(party)
        asked = self._asking(party, grant, geo).model_copy(
            update={"usage": usage.model_copy(update=own)}
        )

        async def decide(question: PolicyInput) -> Decision:
            counted = question.usage.model_copy(update=own)
            return await self.desk.decide(
                question.model_copy(update={"usage": counted}), self.edition
            )

        decision = await decide(asked)
        token = self.office.book.subjects.audit_token(party.subject)
        judged = Judged(self.case, self.contract, asked, decision, token, party.standing.locked)
        if repeat:
            return judged
        try:
            asked, decision = await self.desk.quotas.prove(hold, asked, decision, decide)
        except QuotaUnproven:
            await self.desk.journal.record(entries.unanswered(judged, "failed"))
            raise
        counted = asked.usage.model_copy(update=own)
        asked = asked.model_copy(update={"usage": counted})
        return replace(judged, asked=asked, decision=decision)

    def _asking(self, party: Party, grant: str, geo: tuple[str, ...]) -> PolicyInput:
        case, ask, caller = self.case, self.ask, self.case.caller
        stopped = self.office.stopped()
        first, last = months(ask)
        return PolicyInput(
            request_id=case.call.request_id,
            time=case.stamp.time,
            tenant=AskingTenant(
                id=caller.tenant_id, cert_thumbprint=caller.cert_thumbprint, ip=caller.ip
            ),
            user=AskingUser(id=caller.client_id),
            grant_id=grant,
            service=self.contract.id,
            version=self.contract.version,
            op="verify",
            period=AskedPeriod.model_validate({"from": first, "to": last, "grain": "month"}),
            geo=geo,
            params=params(ask),
            purpose_code=ask.purpose,
            env=self.desk.env,
            format=NAMES[JSON],
            qty_estimate=1,
            usage=Usage(),
            **party.part(ask, case, stopped, _today(case)).asked(),
        )

    async def _refuse(self, judged: Judged, party: Party) -> Refusal:
        """A refusal for want of a consent is a miss; all of them cost the same work."""
        stamp, decision = self.case.stamp, judged.decision
        if any(code.startswith(_CONSENT) for code in decision.deny):
            await self._missed(party, counts=not party.awaited)
        await self.desk.journal.record(entries.unanswered(judged, "refused"))
        return refusal(decision, stamp.time, grain=PERSON, asked=judged.asked)

    async def _missed(self, party: Party, *, counts: bool) -> None:
        stamp, client = self.case.stamp, self.case.caller.client_id
        miss = self.office.book.miss
        await asyncio.to_thread(
            lambda: miss(stamp.event_id, client, party.subject, stamp.time, counts=counts)
        )

    async def _answer(self, judged: Judged, told: Obligations, party: Party, hold: Hold) -> Answer:
        """Read, count the use, sign, record; only then may it leave."""
        try:
            self.office.proofs.ready(self.case.caller.tenant_id)
            found = await self._read(told, party)
            said = await asyncio.to_thread(lambda: self._said(told, party, found))
        except Exception:
            await self.desk.journal.record(entries.unanswered(judged, "failed"))
            raise
        before = self.key.before
        if before is None:
            said = await self._final(judged, told, party, found, said)
        answer = hashlib.sha256(orjson.dumps(said.data)).digest()
        if before is not None and before.answer != answer:
            await self.desk.journal.record(entries.unanswered(judged, "failed"))
            raise Conflict("idempotency_answer_gone", "")
        first = said.repeats if before is None else before.event_id
        meta = meta_of(self.desk, judged, told, found.load, hold, repeat=first is not None)
        body = self._body(said, meta)
        sent = {
            "rows": sum(len(rows) for rows in found.rows.values()),
            "bytes": len(body),
            "output_hash": hashlib.sha256(body).hexdigest(),
            "watermark_tag": meta["watermark"],
        }
        if first is None:
            kept = self.key.kept(self.case, answer)
            entry = entries.answered(judged, told, found.load, sent, kept)
            await self.desk.journal.record(entry, hold)
        else:
            entry = entries.repeated(judged, told, found.load, sent, first)
            await self.desk.journal.record(entry)
        media = self.media if self.seal is None else SEALED
        return Answer(body, media, meta, None, replayed=first is not None)

    async def _final(
        self, judged: Judged, told: Obligations, party: Party, found: Found, said: Said
    ) -> Said:
        """The answer with its use counted. What would tell too much is noted like a miss."""
        try:
            return await asyncio.to_thread(lambda: self._use(judged, told, party, found, said))
        except Probing:
            await self._missed(party, counts=True)
            await self.desk.journal.record(entries.unanswered(judged, "failed"))
            raise

    def _body(self, said: Said, meta: dict[str, object]) -> bytes:
        proof, seal = self._proof(said, meta), self.seal
        if self.media == JSON:
            if seal is not None:
                return seal.seal(proof.encode("ascii"), "JWT")
            return orjson.dumps({"data": said.data, "meta": meta, "proof": proof})
        made, consent_id = self.case.stamp.time, self.ask.consent_id
        told = orjson.dumps(verified(said.data, consent_id=consent_id, proof=proof, made=made))
        return told if seal is None else seal.seal(told, "fhir+json")

    async def _read(self, told: Obligations, party: Party) -> Found:
        asked = statements(self.contract, told, party.scopes, party.subject)
        return await self.office.source.read(party.subject, asked)

    def _said(self, told: Obligations, party: Party, found: Found) -> Said:
        """The answer's data. Only with the person's word is it said whether others asked."""
        masks, book, tenant = leaving(told), self.office.book, self.case.caller.tenant_id
        match self.ask:
            case Eligibility() as ask:
                matches = self._matches(ask, party)
                rows = found.rows.get("coverage", ())
                return eligibility(ask, self.contract, masks, rows, matches)
            case Verification() as ask:
                said = verification(
                    ask,
                    self.contract,
                    masks,
                    found.rows,
                    Naming(
                        book.reference(tenant, ask.consent_id), self.office.proofs.digest(tenant)
                    ),
                    withheld=withheld(told, ask.dx_family),
                    agreed=party.agreed,
                )
                if "already_claimed" not in masks or not said.settlements:
                    return said
                elsewhere = book.claimed_elsewhere(said.settlements, tenant)
                return replace(said, data={**said.data, "already_claimed": elsewhere})
            case Adjudication() as ask if self.key.before is not None:
                return self.office.decisions.said(self._put(ask, told, party, found))
            case _:
                return Said({})  # rules decide where the use is counted

    def _put(self, ask: Adjudication, told: Obligations, party: Party, found: Found) -> Put:
        born = None if party.known is None else party.known.born
        tenant = self.case.caller.tenant_id
        return Put(tenant, party.subject, ask, found.rows, born, leaving(told))

    def _matches(self, ask: Eligibility, party: Party) -> bool:
        name = name_mac(self.office.book.subjects, ask.name.get_secret_value())
        return party.known is not None and party.known.name_mac == name

    def _use(
        self, judged: Judged, told: Obligations, party: Party, found: Found, said: Said
    ) -> Said:
        """Count one use; a name that is not the person's is a miss besides. Rules decide here, by
        what the year of cover counts at this moment."""
        stamp, caller = self.case.stamp, self.case.caller
        noted = Noted(
            event_id=stamp.event_id,
            tenant_id=caller.tenant_id,
            grant_id=judged.asked.grant_id,
            service=self.contract.id,
            consent_id=self.ask.consent_id,
            subject=party.subject,
            at=stamp.time,
            settlements=said.settlements,
            refunded=said.refunded,
            amount_fen=said.amount_fen,
        )
        if isinstance(self.ask, Adjudication):
            return self.office.decisions.decide(self._put(self.ask, told, party, found), noted)
        missed = said.data.get("match") is False
        self.office.book.use(noted, missed_by=caller.client_id if missed else None)
        return said

    def _proof(self, said: Said, meta: dict[str, object]) -> str:
        """The data signed: who answered whom, when, by which consent."""
        caller, stamp = self.case.caller, self.case.stamp
        claims = {
            "iss": self.office.issuer,
            "aud": caller.client_id,
            "iat": int(stamp.time.timestamp()),
            "jti": stamp.event_id,
            "service": self.contract.id,
            "consent_id": self.ask.consent_id,
            "release": meta["release"],
            "data": said.data,
        }
        return self.office.proofs.prove(caller.tenant_id, claims)


def _of_person(party: Party) -> dict[str, int]:
    """What was used of the quotas about persons."""
    standing = party.standing
    return {
        "persons_day": standing.persons_day,
        "calls_per_person_day": standing.calls_today,
    }


def _today(case: Case) -> date:
    """The bureau's day."""
    return date.fromisoformat(day_of(case.stamp.time))
