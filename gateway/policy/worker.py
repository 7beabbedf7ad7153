"""One revision of the policy at work: an engine in the one thread that may touch it.

The embedded engine is bound to the thread that made it; a touch from another thread, even letting
it go there, is an error. So it lives and dies as a local variable of its thread's function.
"""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias

from gateway.policy.bundle import Bundle
from gateway.policy.documents import PolicyDataError
from gateway.policy.engine import build_engine, engine_words
from gateway.policy.port import PolicyUnavailable

_Job: TypeAlias = "tuple[str, Future[str]] | None"


class Retired(Exception):
    """The worker takes no more questions; its successor does."""


class Worker:
    """Answers questions by one revision until it is retired or forgotten."""

    def __init__(self, bundle: Bundle) -> None:
        self.version = bundle.version
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._gate = threading.Lock()
        ready: Future[None] = Future()
        threading.Thread(
            target=_work, args=(bundle, ready, self._jobs), name="policy", daemon=True
        ).start()
        ready.result()
        self._end = weakref.finalize(self, self._jobs.put, None)

    def ask(self, question: str) -> Future[str]:
        """Queue the question; raises `Retired` when no answer will come."""
        answer: Future[str] = Future()
        with self._gate:
            if not self._end.alive:
                raise Retired
            self._jobs.put((question, answer))
        return answer

    def retire(self) -> None:
        """Questions queued so far are still answered, then the engine goes."""
        with self._gate:
            self._end()


def _work(bundle: Bundle, ready: Future[None], jobs: SimpleQueue[_Job]) -> None:
    try:
        engine = build_engine(bundle.rego, bundle.documents)
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
        # Not chained: a traceback would carry the engine into another thread.
        ready.set_exception(PolicyDataError(engine_words(error)))
        return
    del bundle
    ready.set_result(None)
    for job in iter(jobs.get, None):
        question, answer = job
        if answer.set_running_or_notify_cancel():
            _answer(engine, question, answer)
        del job, question, answer


def _answer(engine: Any, question: str, answer: Future[str]) -> None:  # regorus has no types
    try:
        engine.set_input_json(question)
        text = engine.eval_rule_as_json("data.decision.told")
    except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception
        # The engine's own words may quote the question: only the kind of failure is kept.
        answer.set_exception(PolicyUnavailable(type(error).__name__))
    else:
        answer.set_result(text)
