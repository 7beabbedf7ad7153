"""The policy decided by an OPA server: `Policy` through opa-python-client's asynchronous client.

The gateway publishes each revision as a bundle, which OPA fetches; see `gateway.policy.line` for
what an answer must be to count. When another edition goes live, OPA needs a moment to fetch it: as
long as OPA is well and still answers by the old edition, a stand-in inside the process decides by
the new one, so that no request is lost and none is decided by rules of another edition.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from gateway.policy.bundle import Bundle, Edition, edition_of, read_edition
from gateway.policy.circuit import LIVE_WITHIN
from gateway.policy.embedded import EmbeddedPolicy
from gateway.policy.line import Line, OpaServer, Told
from gateway.policy.port import Decision, PolicyInput, PolicyUnavailable
from gateway.tracing import span

_log = logging.getLogger(__name__)


class OpaPolicy:
    """Decides as `EmbeddedPolicy` does, in the OPA server that follows `bundle`."""

    def __init__(
        self,
        policies: Path,
        catalogue: Mapping[str, Any],
        directory: Mapping[str, Any],
        server: OpaServer,
        *,
        timeout: float = 2.0,
    ) -> None:
        edition = read_edition(policies, catalogue)
        line = Line(server, edition.bundle(directory).version, timeout)
        self._begin(edition, directory, line, timeout, published=True)

    @classmethod
    def of(
        cls,
        edition: Edition,
        directory: Mapping[str, Any],
        server: OpaServer,
        *,
        timeout: float = 2.0,
    ) -> OpaPolicy:
        """The policy of an edition that has been read already."""
        policy = cls.__new__(cls)
        line = Line(server, edition.bundle(directory).version, timeout)
        policy._begin(edition, directory, line, timeout, published=True)
        return policy

    def successor(self, edition: Edition, directory: Mapping[str, Any]) -> OpaPolicy:
        """The policy of another edition in the same OPA; `publish` it once this one is idle."""
        policy = type(self).__new__(type(self))
        policy._begin(edition, directory, self._line, self._timeout, published=False)
        policy._stand_in = EmbeddedPolicy.of(edition, directory, timeout=self._timeout)
        return policy

    def _begin(
        self,
        edition: Edition,
        directory: Mapping[str, Any],
        line: Line,
        timeout: float,
        *,
        published: bool,
    ) -> None:
        self._edition, self._line, self._timeout = edition, line, timeout
        self._published = published
        self._stand_in: EmbeddedPolicy | None = None
        self._needed_until = float("inf")
        self._bundle = self._build(directory)

    @property
    def version(self) -> str:
        return self._bundle.version

    @property
    def healthy(self) -> bool:
        return self._line.healthy

    @property
    def bundle(self) -> Bundle:
        return self._bundle

    def decide(self, question: PolicyInput) -> Decision:
        answer = self._line.ask(_spelled_out(question))
        try:
            told = answer.result(2 * self._timeout)
        except FutureTimeout:
            answer.cancel()
            raise PolicyUnavailable("timeout") from None
        if self._is_ours(_decision(told)):
            return _decision(told)
        return self._substitute().decide(question)

    async def decide_soon(self, question: PolicyInput) -> Decision:
        answer: Future[Told] = self._line.ask(_spelled_out(question))
        try:
            with span("policy.decide", sluice__engine="opa"):
                told = await asyncio.wait_for(asyncio.wrap_future(answer), 2 * self._timeout)
        except TimeoutError:
            raise PolicyUnavailable("timeout") from None
        if self._is_ours(_decision(told)):
            return _decision(told)
        return await self._substitute().decide_soon(question)

    def load(self, data: Mapping[str, Any]) -> None:
        # Published before OPA can fetch it: no answer may name a revision unknown here.
        bundle = self._build(data)
        if self._published:
            self._line.publish(bundle.version)
        if self._stand_in is not None:
            self._stand_in.load(data)
        self._bundle = bundle

    def publish(self) -> None:
        """Let OPA have this edition; the one before may answer for `LIVE_WITHIN` seconds more."""
        if not self._published:
            self._published = True
            self._line.publish(self._bundle.version)
            self._needed_until = time.monotonic() + LIVE_WITHIN

    def close(self) -> None:
        self._line.close()

    def _is_ours(self, decision: Decision) -> bool:
        """Whether OPA decided by this edition; once it is sure to, the stand-in can go."""
        ours = edition_of(decision.policy_version) == self._edition.name
        if ours and self._stand_in is not None and time.monotonic() > self._needed_until:
            self._stand_in = None
        return ours

    def _substitute(self) -> EmbeddedPolicy:
        stand_in = self._stand_in
        if stand_in is None:
            raise PolicyUnavailable("revision")
        return stand_in

    def _build(self, directory: Mapping[str, Any]) -> Bundle:
        bundle = self._edition.bundle(directory)
        for reason in bundle.left_out:
            _log.warning("left out of the policy data: %s", reason)
        return bundle


def _spelled_out(question: PolicyInput) -> dict[str, Any]:
    return question.model_dump(mode="json", by_alias=True)


def _decision(told: Told) -> Decision:
    if isinstance(told, PolicyUnavailable):
        raise told
    return told
