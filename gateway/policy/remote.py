"""The policy decided by an OPA server: `Policy` through opa-python-client's asynchronous client.

The gateway publishes each revision as a bundle, which OPA fetches; see `gateway.policy.line` for
what an answer must be to count.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from gateway.policy.bundle import Bundle, read_edition
from gateway.policy.line import Line, OpaServer, Told
from gateway.policy.port import Decision, PolicyInput, PolicyUnavailable

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
        self._edition = read_edition(policies, catalogue)
        self._timeout = timeout
        self._bundle = self._build(directory)
        self._line = Line(server, self._bundle.version, timeout)

    @property
    def version(self) -> str:
        return self._line.version

    @property
    def healthy(self) -> bool:
        return self._line.healthy

    @property
    def bundle(self) -> Bundle:
        return self._bundle

    def decide(self, question: PolicyInput) -> Decision:
        answer = self._line.ask(_spelled_out(question))
        try:
            return _decision(answer.result(2 * self._timeout))
        except FutureTimeout:
            answer.cancel()
            raise PolicyUnavailable("timeout") from None

    async def decide_soon(self, question: PolicyInput) -> Decision:
        answer = self._line.ask(_spelled_out(question))
        try:
            told = await asyncio.wait_for(asyncio.wrap_future(answer), 2 * self._timeout)
        except TimeoutError:
            raise PolicyUnavailable("timeout") from None
        return _decision(told)

    def load(self, data: Mapping[str, Any]) -> None:
        # Published before OPA can fetch it: no answer may name a revision unknown here.
        bundle = self._build(data)
        self._line.publish(bundle.version)
        self._bundle = bundle

    def close(self) -> None:
        self._line.close()

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
