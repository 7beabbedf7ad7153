"""One gateway, as a registered client meets it."""

from __future__ import annotations

import io
import json
import secrets
import ssl
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import httpx
from joserfc.jwk import Key, import_key

from sluice_client.errors import Refused, Unreachable
from sluice_client.exports import Exports
from sluice_client.proof import ByCertificate, ProvenBy, make_assertion, token_form

Json: TypeAlias = dict[str, Any]  # a JSON object
_AGAIN: Final = frozenset({429, 503})
_SPARE: Final = timedelta(seconds=20)
"""A token is not used in the last seconds of its life: it would end on its way."""
_POLL: Final = 1.0
_LOOK: Final = 5.0


class Sluice:
    """A client of the gateway at `issuer`.

    `key` is the client's private JWK (a path, its JSON, or a joserfc key); without one, `cert`, a
    PEM file with certificate and key, is the proof. Every call is tried `attempts` times where that
    is safe: on 429 and 503 after as long as the gateway says; where it does not, and on a broken
    connection, after growing pauses. Questions carry an Idempotency-Key, so that one answered
    twice is counted once.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        *,
        key: Path | str | Mapping[str, Any] | Key | None = None,
        cert: Path | None = None,
        ca: Path | None = None,
        attempts: int = 5,
        longest_wait: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.issuer, self.client_id = issuer.rstrip("/"), client_id
        self._key = _key(key)
        self._attempts, self._longest, self._clock, self._pause = (
            attempts, longest_wait, clock, pause,
        )  # fmt: skip
        trust = ssl.create_default_context(cafile=ca)
        if cert is not None:
            trust.load_cert_chain(cert)
        self._http = httpx.Client(
            base_url=self.issuer, timeout=60, verify=trust, transport=transport
        )
        self._auth: httpx.Auth | None = None
        self._good_until = datetime.min.replace(tzinfo=UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def services(self) -> list[Json]:
        """Every data service on offer."""
        return list(self.get("/v1/services")["services"])

    def query(self, service: str, question: Mapping[str, Any]) -> Json:
        """One page of an answer: `data`, `meta`, `next_cursor`."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        path = f"/v1/services/{service}/queries"
        return _json(self.call("POST", path, json=dict(question), headers=headers))

    def rows(self, service: str, question: Mapping[str, Any]) -> Iterator[Json]:
        """Every row of an answer, page after page of one release."""
        asked = dict(question)
        while True:
            page = self.query(service, asked)
            yield from page["data"]
            if page.get("next_cursor") is None:
                return
            asked["cursor"] = page["next_cursor"]

    def export(
        self, service: str, question: Mapping[str, Any], folder: Path, *,
        output_format: str = "ndjson", since: str | None = None,
    ) -> Json:  # fmt: skip
        """A whole answer as files in a folder, each verified; the manifest."""
        exports = Exports(self._http, _Renewed(self), self._pause, self._attempts)
        told = exports.export(service, question, folder, output_format=output_format, since=since)
        return dict(told)

    def verify(self, service: str, question: Mapping[str, Any]) -> Json:
        """A question about one person under a consent (S18, S19): `data`, `meta`, `proof`."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        path = f"/v1/services/{service}/verify"
        return _json(self.call("POST", path, json=dict(question), headers=headers))

    def consent(self, consent_id: str) -> Json:
        """Wait until a person has answered, as often as the gateway says; the consent."""
        while True:
            reply = self.call("GET", f"/v1/consents/{consent_id}")
            told = _json(reply)
            if told["state"] != "AWAITING_PERSON":
                return told
            self._pause(_wait(reply, _LOOK))

    def submit(self, code: Path, purpose: str, *, grant_id: str | None = None) -> Json:
        """Queue the job in a folder: its code, and its declaration `job.yaml`."""
        headers = {"Idempotency-Key": secrets.token_hex(16), "Content-Type": "application/zip"}
        params = {"purpose": purpose} | ({"grant_id": grant_id} if grant_id else {})
        told = self.call("POST", "/v1/jobs", content=_packed(code), headers=headers, params=params)
        return dict(_json(told)["result"])

    def propose(self, job_id: str, purpose: str, *, grant_id: str | None = None) -> Json:
        """Propose that a job which succeeded runs, unchanged, on the bureau's view."""
        params = {"purpose": purpose} | ({"grant_id": grant_id} if grant_id else {})
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        path = f"/v1/jobs/{job_id}/validations"
        return dict(_json(self.call("POST", path, params=params, headers=headers))["result"])

    def finished(self, job_id: str) -> Json:
        """Wait until a job of the sandbox is over; the job with attempts and outputs."""
        while True:
            told = self.get(f"/v1/jobs/{job_id}")
            if told["state"] in {"succeeded", "failed", "cancelled"}:
                return told
            self._pause(_POLL)

    def output(self, job_id: str, name: str, purpose: str, *, validation: bool = False) -> bytes:
        """A file that a job left; of a validation run, one that reviewers released."""
        kind = "validations" if validation else "jobs"
        path = f"/v1/{kind}/{job_id}/outputs/{name}"
        return self.call("GET", path, params={"purpose": purpose}).content

    def get(self, path: str, **params: str) -> Json:
        """A reading request of any address."""
        return _json(self.call("GET", path, params=params))

    def call(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Any request, tried again where that is safe.

        Raises:
            Refused: the gateway's no, with its code and reasons.
            Unreachable: nobody answered.
        """
        safe = method in {"GET", "HEAD"} or "Idempotency-Key" in (sent.get("headers") or {})
        for attempt in range(self._attempts):
            last = attempt + 1 == self._attempts
            try:
                reply = self._http.request(method, path, auth=self._bound(), **sent)
            except httpx.TransportError as error:
                if last or not safe:
                    raise Unreachable(f"{self.issuer} does not answer: {error}") from error
                self._pause(min(2.0**attempt, self._longest))
                continue
            if (
                reply.status_code == httpx.codes.UNAUTHORIZED
                and not last
                and self._auth is not None
            ):
                self._auth = None  # the token may have been revoked or its key rotated: a new one
                continue
            if reply.is_success:
                return reply
            wait = _wait(reply, 2.0**attempt)
            if last or reply.status_code not in _AGAIN or wait > self._longest:
                raise Refused(reply)
            self._pause(wait)
        raise AssertionError  # the last attempt returns or raises

    def _bound(self) -> httpx.Auth:
        """The token with what proves its sender; a new token where the old one ends soon."""
        if self._auth is None or self._clock() >= self._good_until:
            self._auth = self._fetched()
        return self._auth

    def _fetched(self) -> httpx.Auth:
        asked, now = self._form(), self._clock()
        proof: httpx.Auth = ByCertificate(None)
        if self._key is not None:
            proof = ProvenBy(self._key, self._clock)
        try:
            reply = self._http.post("/oauth/token", data=asked, auth=proof)
        except httpx.TransportError as error:
            raise Unreachable(f"{self.issuer} does not answer: {error}") from error
        if not reply.is_success:
            raise Refused(reply)
        told = _json(reply)
        self._good_until = now + timedelta(seconds=int(told["expires_in"])) - _SPARE
        token = str(told["access_token"])
        if self._key is None:
            return ByCertificate(token)
        return ProvenBy(self._key, self._clock, token)

    def _form(self) -> dict[str, str]:
        if self._key is None:
            return {"grant_type": "client_credentials", "client_id": self.client_id}
        made = make_assertion(self._key, self.client_id, self.issuer, self._clock())
        return token_form(made)


class _Renewed(httpx.Auth):
    """The client's token of the moment: an export may outlive several."""

    requires_response_body = True

    def __init__(self, sluice: Sluice) -> None:
        self._sluice = sluice

    def sync_auth_flow(self, request: httpx.Request) -> Any:  # as httpx has it
        yield from self._sluice._bound().sync_auth_flow(request)  # one library


def _key(given: Path | str | Mapping[str, Any] | Key | None) -> Key | None:
    if given is None or isinstance(given, Key):
        return given
    if isinstance(given, Path):
        return import_key(json.loads(given.read_text("utf-8")))
    return import_key(json.loads(given) if isinstance(given, str) else dict(given))


def _json(reply: httpx.Response) -> Json:
    told: Json = reply.json()
    return told


def _wait(reply: httpx.Response, untold: float) -> float:
    text = reply.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else untold


def _packed(code: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in code.rglob("*") if p.is_file() and not p.is_symlink()):
            if "__pycache__" not in path.parts:
                entry = zipfile.ZipInfo(path.relative_to(code).as_posix())
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()
