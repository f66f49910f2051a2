"""A `replica.run` span for each run of a sampled trace, sent as OTLP/HTTP in JSON (opentelemetry.io/docs/specs/otlp)."""

import http.client
import json
import os
import queue
import re
import threading
from typing import Any
from urllib.parse import urlsplit

from .code_guard import permit_connections

# The W3C form with the sampled flag, the lowest bit of the last byte.
_SAMPLED = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f][13579bdf]")
_MOST_WAITING = 2_048
_MOST_AT_ONCE = 512
_TIMEOUT_SECONDS = 5.0
_FAILED = 2


class RunTrace:
    """Spans are written after the run and sent by a thread of their own: no run waits, and what cannot be sent is lost."""

    def __init__(self, endpoint: str, version: str):
        self._endpoint = urlsplit(endpoint) if endpoint != "" else None
        self._version = version
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(_MOST_WAITING)
        self._begin = threading.Lock()
        self._has_begun = False

    def parent_of(self, traceparent: str | None) -> tuple[str, str] | None:
        """Trace and span to which a run belongs; None for one that nobody traces."""
        if self._endpoint is None or traceparent is None:
            return None
        found = _SAMPLED.match(traceparent)
        return None if found is None else (found.group(1), found.group(2))

    def finished(
        self, parent: tuple[str, str], began_ns: int, ended_ns: int, attributes: dict[str, Any], has_failed: bool
    ) -> None:
        # No text of the failure goes into a trace: what a model says may quote its input.
        span = {
            "traceId": parent[0],
            "spanId": os.urandom(8).hex(),
            "parentSpanId": parent[1],
            "name": "replica.run",
            "kind": 1,
            "startTimeUnixNano": str(began_ns),
            "endTimeUnixNano": str(ended_ns),
            "attributes": _attributes(attributes),
            "status": {"code": _FAILED} if has_failed else {},
        }
        with self._begin:
            if not self._has_begun:
                self._has_begun = True
                threading.Thread(target=self._send_all, name="trace", daemon=True).start()
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            pass

    def flush(self, deadline_seconds: float) -> None:
        """Waits until all is sent, or for so long."""
        waiter = threading.Thread(target=self._waiting.join, daemon=True)
        waiter.start()
        waiter.join(deadline_seconds)

    def _send_all(self) -> None:
        permit_connections()
        while True:
            spans = [self._waiting.get()]
            while len(spans) < _MOST_AT_ONCE and not self._waiting.empty():
                spans.append(self._waiting.get())
            try:
                self._send(spans)
            except (OSError, http.client.HTTPException):
                # A collector that is away costs spans and nothing else.
                pass
            for _ in spans:
                self._waiting.task_done()

    def _send(self, spans: list[dict[str, Any]]) -> None:
        endpoint = self._endpoint
        assert endpoint is not None
        kind = http.client.HTTPSConnection if endpoint.scheme == "https" else http.client.HTTPConnection
        resource = {"service.name": "sluice-model-server", "service.version": self._version}
        scoped = [{"scope": {"name": "sluice"}, "spans": spans}]
        body = {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": scoped}]}
        connection = kind(endpoint.hostname or "", endpoint.port, timeout=_TIMEOUT_SECONDS)
        try:
            path = f"{endpoint.path.rstrip('/')}/v1/traces"
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            connection.getresponse().read()
        finally:
            connection.close()


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
