"""Sends spans to an OpenTelemetry collector: of requests, statements, replies and what goes out. An extra: `make otel` installs its packages."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlalchemy import Engine, event

from chatsvc.core import about, naming, spans
from chatsvc.extensions import db
from chatsvc.responders import http
from config import SettingError, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

log = logging.getLogger(__name__)
PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
SPAN = "chatsvc_span"  # where a statement that is under way keeps its own


def install(app: Flask, settings: Settings) -> None:
    """Makes ready; `begin` is for the process that serves, since what sends is a thread, which no copy of a process has."""
    if not settings.otlp_endpoint:
        return
    if not _there():
        raise SettingError("OTEL_EXPORTER_OTLP_ENDPOINT is set, and the packages that it needs are not installed. Run: make otel")
    app.wsgi_app = Traced(app.wsgi_app)  # type: ignore[method-assign]


def _there() -> bool:
    try:
        return all(importlib.util.find_spec(name) for name in PACKAGES)
    except ModuleNotFoundError:
        return False


def begin(app: Flask) -> Callable[[], None]:
    """From here on this process sends spans; call what comes back before it ends, or the last few seconds are missing."""
    settings: Settings = app.extensions["chatsvc.settings"]
    if not settings.otlp_endpoint:
        return lambda: None
    from opentelemetry.context import get_current  # noqa: PLC0415 - an extra
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "chatsvc"}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint}/v1/traces")))
    spans.tracer, spans.context_now = _beginner(provider.get_tracer("chatsvc")), get_current
    http.around = _going_out
    with app.app_context():
        _watch(db.engine)

    def end() -> None:
        spans.tracer = None
        provider.shutdown()

    return end


def _beginner(tracer: Any) -> Callable[..., AbstractContextManager[Any]]:
    """Begins a span that says of a failure that it was one, and nothing of what it said."""
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

    kinds = (SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT)

    @contextmanager
    def begun(name: str, kind: int, parent: Any, attributes: dict[str, Any]) -> Iterator[Any]:
        given = {"kind": kinds[kind], "attributes": attributes, "record_exception": False, "set_status_on_exception": False}
        with tracer.start_as_current_span(name, context=parent, **given) as told:
            try:
                yield told
            except BaseException:
                told.set_status(Status(StatusCode.ERROR))
                raise

    return begun


class Traced:
    """A span for each request, part of the caller's trace where it brings one; until the answer, or the beginning of a stream, is ready."""

    def __init__(self, within: WSGIApplication) -> None:
        self._within = within

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if spans.tracer is None:
            return self._within(environ, start_response)
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        carrier = {name: environ[f"HTTP_{name.upper()}"] for name in ("traceparent", "tracestate") if f"HTTP_{name.upper()}" in environ}
        with spans.tracer("request", spans.SERVER, TraceContextTextMapPropagator().extract(carrier), {}) as told:

            def start(status: str, *rest: Any) -> Any:
                _name(told, int(status[:3]))
                return start_response(status, *rest)

            return self._within(environ, start)


def _name(told: Any, status: int) -> None:
    """As the request turned out to be: its route, never its path."""
    asked = about.current()
    if asked is None:
        return
    told.update_name(f"{asked.method} {asked.route or 'unknown'}")
    facts = {"http.request.method": asked.method, "http.route": asked.route or "unknown", "http.response.status_code": status}
    for name, value in {**facts, "chatsvc.request": asked.request_id}.items():
        told.set_attribute(name, value)
    if status >= 500:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

        told.set_status(Status(StatusCode.ERROR))


def _going_out(url: Any) -> AbstractContextManager[dict[str, str | int]]:
    """To whom, and no more: a path or a query may be a secret of theirs."""
    return spans.span("POST", spans.CLIENT, server_address=url.host, server_port=url.port or (443 if url.scheme == "https" else 80))


def _watch(engine: Engine) -> None:
    """Statements that go by way of the toolkit; those that are prepared tell of themselves."""

    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if spans.tracer is not None:
            name, kind = naming.of_statement(statement)
            begun = spans.tracer(name, kind, None, {"db.system.name": engine.dialect.name})
            begun.__enter__()
            connection.info[SPAN] = begun

    def after(connection: Any, *rest: Any) -> None:
        if (begun := connection.info.pop(SPAN, None)) is not None:
            begun.__exit__(None, None, None)

    def failed(context: Any) -> None:
        if context.connection is not None and (begun := context.connection.info.pop(SPAN, None)) is not None:
            begun.__exit__(None, None, None)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)
