"""The watch over what leaves sees what it is told to see: planted persons in logs and in spans."""

from __future__ import annotations

import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tests.claim_world import PEOPLE
from tests.leak_watch import persons_in, watching

CERTNO, NAME = PEOPLE["adult"]


def test_a_person_in_a_span_is_found() -> None:
    tracer = TracerProvider().get_tracer("planted")
    with watching() as watch:
        with tracer.start_as_current_span("clean", attributes={"service": "S19"}):
            pass
        assert watch.found == {}
        with tracer.start_as_current_span("fact", attributes={"asked": f"about {NAME}"}):
            pass
        with tracer.start_as_current_span("event") as span:
            span.add_event("read", {"of": CERTNO})
        with (
            pytest.raises(ValueError, match="planted"),
            tracer.start_as_current_span("failed"),
        ):
            raise ValueError(f"planted {CERTNO}")
    assert watch.found["span fact"] == {NAME}
    assert {"span event", "span failed"} <= watch.found.keys()


def test_a_person_in_a_log_line_or_its_traceback_is_found() -> None:
    with watching() as watch:
        logging.getLogger("planted").warning("said %s", NAME)
    assert watch.found == {"log planted": {NAME}}


def test_numbers_that_are_nobodys_are_none() -> None:
    assert persons_in(b"990101198503129008 20250401 S-adult") == []
    assert set(persons_in(f"x {CERTNO} y".encode())) == {CERTNO}
