"""Spans of OpenTelemetry: where a request's time goes. Off by default, and then a name and a look.

A span carries words of this program and counts, never a value of a request or a row: names of
attributes are a closed list, values must look like a word, and no exception is attached, since what
an error says can hold a row's values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from gateway.errors import OperatorError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

ATTRIBUTES: Final = frozenset(
    {
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "sluice.request_id",
        "sluice.cells",
        "sluice.engine",
        "sluice.outcome",
        "sluice.service",
        "db.system.name",
        "db.operation.name",
    }
)
_WORD: Final = re.compile(r"[A-Za-z0-9_./{}:$-]{1,100}")
_NOTHING: Final = nullcontext()


class _Switch:
    """The tracer of this process; none while tracing is off."""

    provider: TracerProvider | None = None
    tracer: Tracer | None = None


def tracing() -> bool:
    """Whether spans are made."""
    return _Switch.tracer is not None


def span(name: str, **facts: str | int) -> AbstractContextManager[object]:
    """A span for the time of a block, below the one that is current; nothing while off.

    Facts are named with `__` for a dot, e.g. `sluice__engine="opa"`.
    """
    tracer = _Switch.tracer
    if tracer is None:
        return _NOTHING
    return tracer.start_as_current_span(
        name,
        attributes=told({key.replace("__", "."): value for key, value in facts.items()}),
        record_exception=False,
        set_status_on_exception=False,
    )


@contextmanager
def server_span(name: str, carrier: Mapping[str, str], **facts: str | int) -> Iterator[Span]:
    """The span of a request that came in, in the trace its `traceparent` names. Only while on."""
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 — paid only where spans are made
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 — likewise
        TraceContextTextMapPropagator,
    )

    if _Switch.tracer is None:
        raise RuntimeError("no spans are made")
    with _Switch.tracer.start_as_current_span(
        name,
        context=TraceContextTextMapPropagator().extract(carrier),
        kind=SpanKind.SERVER,
        attributes=told({key.replace("__", "."): value for key, value in facts.items()}),
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        yield current


def told(facts: Mapping[str, str | int]) -> dict[str, str | int]:
    """Facts that may be told: of the closed list, and words or numbers; others are left out."""
    return {
        key: value
        for key, value in facts.items()
        if key in ATTRIBUTES and (isinstance(value, int) or _WORD.fullmatch(value))
    }


def switch_on(url: str, node: str, share: float, processor: SpanProcessor | None = None) -> None:
    """Make spans of this share of the requests and send them to an OTLP collector over HTTP; a
    collector that is away costs spans, not answers. `processor` takes them instead."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 — optional
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 — likewise
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 — likewise
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 — likewise
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415 — likewise
    except ImportError as error:
        raise OperatorError(
            "tracing_packages",
            "SLUICE_TRACES_URL needs the packages of OpenTelemetry: install sluice[tracing].",
        ) from error
    # The caller's own word on sampling is not followed: it would choose our costs.
    provider = TracerProvider(
        resource=Resource.create({"service.name": "sluice", "service.instance.id": node}),
        sampler=TraceIdRatioBased(share),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    _Switch.provider, _Switch.tracer = provider, provider.get_tracer("sluice")


def switch_off() -> None:
    """Send what is left and make no more spans; harmless when off."""
    provider, _Switch.provider, _Switch.tracer = _Switch.provider, None, None
    if provider is not None:
        provider.shutdown()
