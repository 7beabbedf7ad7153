"""The policy decided inside the process: `Policy` on the embedded Rego engine.

Each revision of rules and data has a worker of its own. `load` builds a new one and then swaps it
in one assignment, so a question is answered wholly by one revision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from gateway.policy.answer import read_answer
from gateway.policy.bundle import Bundle, Edition, read_edition
from gateway.policy.port import Decision, PolicyInput, PolicyUnavailable
from gateway.policy.worker import Retired, Worker

_log = logging.getLogger(__name__)


class EmbeddedPolicy:
    """Decides by the files of a policies folder, the catalogue and the directory's documents."""

    def __init__(
        self,
        policies: Path,
        catalogue: Mapping[str, Any],
        directory: Mapping[str, Any],
        *,
        timeout: float = 2.0,
    ) -> None:
        self._begin(read_edition(policies, catalogue), directory, timeout)

    @classmethod
    def of(
        cls, edition: Edition, directory: Mapping[str, Any], *, timeout: float = 2.0
    ) -> EmbeddedPolicy:
        """The policy of an edition that has been read already."""
        policy = cls.__new__(cls)
        policy._begin(edition, directory, timeout)
        return policy

    def _begin(self, edition: Edition, directory: Mapping[str, Any], timeout: float) -> None:
        self._edition, self._timeout = edition, timeout
        self._bundle = self._build(directory)
        self._worker = Worker(self._bundle)
        self._open = True

    @property
    def version(self) -> str:
        return self._worker.version

    @property
    def healthy(self) -> bool:
        return self._open

    @property
    def bundle(self) -> Bundle:
        return self._bundle

    def decide(self, question: PolicyInput) -> Decision:
        answer, version = self._ask(question.question())
        try:
            text = answer.result(self._timeout)
        except FutureTimeout:
            answer.cancel()
            raise PolicyUnavailable("timeout") from None
        return read_answer(text, version)

    async def decide_soon(self, question: PolicyInput) -> Decision:
        answer, version = self._ask(question.question())
        try:
            text = await asyncio.wait_for(asyncio.wrap_future(answer), self._timeout)
        except TimeoutError:
            raise PolicyUnavailable("timeout") from None
        return read_answer(text, version)

    def load(self, data: Mapping[str, Any]) -> None:
        bundle = self._build(data)
        before, self._worker = self._worker, Worker(bundle)
        self._bundle = bundle
        before.retire()

    def close(self) -> None:
        self._open = False
        self._worker.retire()

    def _ask(self, question: str) -> tuple[Future[str], str]:
        """Queue the question; a revision that retired in between hands over to its successor."""
        worker = self._worker
        while True:
            try:
                return worker.ask(question), worker.version
            except Retired:
                if worker is self._worker:
                    raise PolicyUnavailable("closed") from None
                worker = self._worker

    def _build(self, directory: Mapping[str, Any]) -> Bundle:
        bundle = self._edition.bundle(directory)
        for reason in bundle.left_out:
            _log.warning("left out of the policy data: %s", reason)
        return bundle
