"""Twenty clients that fail: each is the library with one fault in it, as programs have them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from sluice_client import Refused, Sluice
from sluice_client import exports as library_exports
from sluice_client import sluice as library
from sluice_client.exports import Exports
from sluice_client.proof import ProvenBy
from tests.conformance_world import Program


class ProofAgain(Program):
    """Sends the last proof of an address once more."""

    def open(self) -> Sluice:
        sluice, known = super().open(), {}

        class Again(ProvenBy):
            def _proven(self, request: httpx.Request) -> httpx.Request:
                made = super()._proven(request)
                key = (made.method, str(made.url), self.nonce)
                made.headers["DPoP"] = known.setdefault(key, made.headers["DPoP"])
                return made

        sluice._fetched = _with_prover(sluice, Again)  # type: ignore[method-assign]  # the fault
        return sluice


class NoNonce(Program):
    """Gives up on 401 use_dpop_nonce of a resource."""

    def open(self) -> Sluice:
        sluice = super().open()

        class Deaf(ProvenBy):
            def auth_flow(self, request: httpx.Request) -> Any:
                if "/oauth/" in str(request.url) or self.nonce is None:
                    yield from super().auth_flow(request)
                    return
                reply = yield self._proven(request)
                self.nonce = reply.headers.get("dpop-nonce", self.nonce)
                if reply.status_code == 401:
                    raise httpx.UnsupportedProtocol("this program knows no nonces")

        sluice._fetched = _with_prover(sluice, Deaf)  # type: ignore[method-assign]  # the fault
        sluice._attempts = 1
        return sluice


def _with_prover(sluice: Sluice, kind: type[ProvenBy]) -> Callable[[], httpx.Auth]:
    fetched = sluice._fetched

    def fetch() -> httpx.Auth:
        good = fetched()
        assert isinstance(good, ProvenBy)
        made = kind(good.key, good._clock, good._token)
        made.nonce = good.nonce
        return made

    return fetch


class OldToken(Program):
    """Shows the old token again and again."""

    class Client(Sluice):
        def _bound(self) -> httpx.Auth:
            if self._auth is None:
                self._auth = self._kept if hasattr(self, "_kept") else self._fetched()
            self._kept = self._auth
            return self._auth

    sluice_class = Client


class TokenEach(Program):
    """Fetches a token for every request."""

    class Client(Sluice):
        def _bound(self) -> httpx.Auth:
            self._auth = self._fetched()
            return self._auth

    sluice_class = Client


class Impatient(Program):
    """Waits for nothing."""

    def pause(self, seconds: float) -> None:
        pass


class Hammering(Program):
    """Repeats a 503 after the same short pause."""

    def pause(self, seconds: float) -> None:
        self.turned.pause(0.3 if seconds < 2 else seconds)

    class Client(Sluice):
        def call(self, method: str, path: str, **sent: Any) -> httpx.Response:
            for _ in range(5):
                try:
                    return super().call(method, path, **sent)
                except Refused as no:
                    if no.status != 503:
                        raise
                    self._pause(0.3)
            raise AssertionError

    def open(self) -> Sluice:
        return self.Client(
            self.gateway.settings.base_url, self.client, clock=self.gateway.clock,
            key=self.gateway.machines[self.client].key, pause=self.pause,
        )  # fmt: skip


class Stubborn(Program):
    """Repeats what was refused."""

    class Client(Sluice):
        def query(self, service: str, question: Mapping[str, Any]) -> dict[str, Any]:
            try:
                return super().query(service, question)
            except Refused:
                return super().query(service, question)

    sluice_class = Client


class FirstPage(Program):
    """Takes the first page for the answer."""

    def pages(self) -> None:
        self.exam.sluice.query("S02", self.exam.tasks["pages"]["body"])


class PageNumbers(Program):
    """Makes cursors up."""

    def pages(self) -> None:
        body = self.exam.tasks["pages"]["body"]
        self.exam.sluice.query("S02", body)
        self.exam.sluice.query("S02", {**body, "cursor": "page-2"})


class NewKey(Program):
    """Takes a new key for what it asks again."""

    class Client(Sluice):
        def call(self, method: str, path: str, **sent: Any) -> httpx.Response:
            plain = self._http.request

            def renewed(*args: Any, **named: Any) -> httpx.Response:
                named["headers"] = {
                    **(named.get("headers") or {}), "Idempotency-Key": secrets.token_hex(16)
                }  # fmt: skip
                return plain(*args, **named)

            self._http.request = renewed  # type: ignore[method-assign]  # the fault
            try:
                return super().call(method, path, **sent)
            finally:
                self._http.request = plain  # type: ignore[method-assign]  # as it was

    sluice_class = Client


class OneKey(Program):
    """Has one key for all."""

    def pages(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(library, "secrets", SimpleNamespace(token_hex=lambda _: "0123456789"))
            super().pages()


class AsksOn(Program):
    """Asks again under a consent that has ended."""

    def consents(self) -> None:
        super().consents()
        super().consents()


class Peeping(Program):
    """Looks whether the person has answered without a pause."""

    def consents(self) -> None:
        place = self.exam.tasks["wait"]["path"]
        while self.exam.sluice.get(place)["state"] == "AWAITING_PERSON":
            pass


class Synchronous(Program):
    """Starts an export without saying that it will wait."""

    class Client(Sluice):
        def export(self, service: str, question: Any, folder: Path, **_: Any) -> dict[str, Any]:
            return self.call("POST", f"/v1/services/{service}/exports", json=question).json()

    sluice_class = Client


def _exporting(kind: type[Exports]) -> type[Sluice]:
    class Client(Sluice):
        def export(self, *args: Any, **named: Any) -> dict[str, Any]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(library, "Exports", kind)
                return super().export(*args, **named)

    return Client


class Restless(Program):
    """Asks for the manifest without a pause."""

    class Kind(Exports):
        def follow(self, url: str) -> dict[str, Any]:
            while (reply := self.http.get(url, auth=self.auth)).status_code == 202:
                pass
            return dict(reply.json())

    sluice_class = _exporting(Kind)


class FromZero(Program):
    """Begins a broken download anew."""

    class Kind(Exports):
        def _more(self, url: str, sha256: str, draft: Path) -> None:
            draft.unlink(missing_ok=True)
            super()._more(url, sha256, draft)

    sluice_class = _exporting(Kind)


class Trusting(Program):
    """Does not look at checksums."""

    class Kind(Exports):
        def fetch(self, file: Mapping[str, Any], path: Path) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(library_exports, "_sha256", lambda _: file["sha256"])
                super().fetch(file, path)

    sluice_class = _exporting(Kind)


class Gullible(Program):
    """Takes whatever is pushed."""

    def receive(self, token: str) -> int:
        self.receiver.receive(token)
        return 202


class TakesTwice(Program):
    """Does what an event asks for each time it comes."""

    def receive(self, token: str) -> int:
        self.receiver.taken.clear()
        return self.receiver.receive(token)


class Slow(Program):
    """Does the work first."""

    def receive(self, token: str) -> int:
        self.turned.pause(3)
        return super().receive(token)


BROKEN: Mapping[str, type[Program]] = {
    "auth.proof_once": ProofAgain,
    "auth.nonce": NoNonce,
    "auth.renewal": OldToken,
    "auth.token_kept": TokenEach,
    "errors.retry_after": Impatient,
    "errors.back_off": Hammering,
    "errors.no_retry": Stubborn,
    "paging.all_pages": FirstPage,
    "paging.cursor": PageNumbers,
    "idempotency.lost_answer": NewKey,
    "idempotency.key_body": OneKey,
    "consents.ended": AsksOn,
    "consents.poll": Peeping,
    "exports.start": Synchronous,
    "exports.poll": Restless,
    "exports.resume": FromZero,
    "exports.checksum": Trusting,
    "webhooks.signature": Gullible,
    "webhooks.once": TakesTwice,
    "webhooks.quick": Slow,
}
