"""One question, counted once when it is done with, however it ends."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from gateway.errors import SluiceError
from gateway.metrics import Meters
from gateway.metrics.meters import Outcome
from gateway.serving.places import Busy


class Tally:
    """Enter it with the question, say how it went; leaving it counts. What nobody said anything
    about ended with its error: the caller's own, or a failure of ours."""

    def __init__(self, meters: Meters, service: str) -> None:
        self._meters, self._service = meters, service
        self._outcome: Outcome = "failed"
        self._deny: tuple[str, ...] = ()

    def answered(self) -> None:
        """An answer is recorded and about to leave."""
        self._outcome = "answered"

    def refused(self, deny: tuple[str, ...]) -> None:
        """A refusal is recorded and about to leave."""
        self._outcome, self._deny = "refused", deny

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Who is turned away for asking too much at once is no fault of ours either.
        if isinstance(error, SluiceError) and (error.status < 500 or isinstance(error, Busy)):
            self._outcome = "rejected"
        took = time.perf_counter() - self._begun
        self._meters.called(self._service, self._outcome, took, self._deny)
