"""The Open Inference Protocol v2 for one model on a Unix socket: the same answers as Sluice's other model servers give."""

import json
import os
import select
import socket
import stat
import threading
import time
import traceback
from typing import Any
from urllib.parse import quote

from .datatypes import BadInput, BadOutput
from .http_connection import Gone, HttpConnection, Refusal, Request
from .infer_request import HEADER_LENGTH, InferRequest, read_request
from .infer_response import binary_response, json_response
from .run_thread import RunThread
from .run_trace import RunTrace
from .served_model import ServedModel, sentence_of

_BODY_LIMIT = 256 * 1024 * 1024
_BACKLOG = 128
# Each takes a thread. The one API that talks to this server opens eight.
_MOST_CONNECTIONS = 256
_JSON = {"content-type": "application/json"}
_BINARY = {"content-type": "application/octet-stream"}

Answer = tuple[int, dict[str, Any], list[Any]]


class NobodyWaits(Exception):
    """The caller has gone while its request waited."""


class ModelServer:
    """One thread for each connection reads and writes; the run thread runs."""

    def __init__(self, version: str, run_thread: RunThread, trace: RunTrace, run_limit_seconds: float):
        self._version = version
        self._trace = trace
        self._run_limit_seconds = run_limit_seconds
        self._run_thread = run_thread
        self._model: ServedModel | None = None
        self._listener: socket.socket | None = None
        self._wake_reader, self._wake_writer = os.pipe()
        self._is_draining = False
        self._connections = 0
        self._changed = threading.Condition()

    def listen(self, path: str) -> None:
        """On a socket file that only this user may open; one that an earlier process left is removed. Raises OSError."""
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)
        except FileNotFoundError:
            pass
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The mask closes the moment between the file's creation and the change of its mode.
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        os.chmod(path, 0o600)
        listener.listen(_BACKLOG)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="accept", daemon=True).start()

    def serve(self, model: ServedModel) -> None:
        self._model = model

    def drain(self, deadline_seconds: float) -> bool:
        """Takes no new connections, and answers each request that was begun. False when the time did not suffice."""
        self._is_draining = True
        os.write(self._wake_writer, b"d")
        until = time.monotonic() + deadline_seconds
        with self._changed:
            while self._connections > 0 or self._listener is not None:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    @property
    def _is_ready(self) -> bool:
        return self._model is not None and not self._is_draining

    def _accept(self, listener: socket.socket) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        while True:
            ready = {number for number, _ in poll.poll()}
            if listener.fileno() in ready:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    # No handles left, or the other side gave up: the next one may fare better.
                    time.sleep(0.01)
                    continue
                self._begin(accepted)
                continue
            # Only when nobody waits at the door any more: what has already arrived is answered.
            break
        listener.close()
        with self._changed:
            self._listener = None
            self._changed.notify_all()

    def _begin(self, accepted: socket.socket) -> None:
        with self._changed:
            if self._connections >= _MOST_CONNECTIONS:
                accepted.close()
                return
            self._connections += 1
        threading.Thread(target=self._attend, args=(accepted,), daemon=True).start()

    def _attend(self, accepted: socket.socket) -> None:
        connection = HttpConnection(accepted, _BODY_LIMIT)
        try:
            while connection.wait(self._wake_reader):
                if not self._exchange(connection):
                    break
        except Gone:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            connection.close()
            with self._changed:
                self._connections -= 1
                self._changed.notify_all()

    def _exchange(self, connection: HttpConnection) -> bool:
        """One request and its answer. False when the connection is to be closed."""
        keeps_alive = True
        try:
            request = connection.read()
            keeps_alive = request.keeps_alive
            status, headers, parts = self._answer(request, connection)
        except NobodyWaits:
            return False
        except Refusal as refusal:
            keeps_alive = False
            status, headers, parts = _refused(refusal.status, str(refusal))
        keeps_alive = keeps_alive and not self._is_draining
        if not keeps_alive:
            headers = {**headers, "connection": "close"}
        connection.answer(status, headers, parts)
        return keeps_alive

    def _answer(self, request: Request, connection: HttpConnection) -> Answer:
        try:
            return self._route(request, connection)
        except BadInput as error:
            return _refused(400, str(error))
        except BadOutput as error:
            return _refused(500, f"the model gave an answer that cannot be sent: {error}")
        except (NobodyWaits, Gone):
            raise
        except Exception:
            traceback.print_exc()
            return _refused(500, "the model server failed")

    def _route(self, request: Request, connection: HttpConnection) -> Answer:
        path = request.path
        if path.endswith("/infer"):
            return self._infer(request, connection)
        if request.method != "GET":
            return _refused(405, f"{path} does not answer {request.method}")
        if path == "/v2":
            about = {"name": "sluice-model-server", "version": self._version, "extensions": ["binary_tensor_data"]}
            return _sent(200, about)
        if path == "/v2/health/live":
            return self._liveness()
        if path == "/v2/health/ready":
            return _sent(200 if self._is_ready else 503, {"ready": self._is_ready})
        return self._describe(path)

    def _liveness(self) -> Answer:
        # Loading has a deadline of its own, which whoever started this process keeps.
        if self._model is None or self._run_thread.running_seconds <= self._run_limit_seconds:
            return _sent(200, {"live": True})
        reason = f"one run has taken longer than {self._run_limit_seconds:g} s"
        return _sent(503, {"live": False, "reason": reason})

    def _describe(self, path: str) -> Answer:
        model = self._model
        if model is None:
            return _refused(503, "the model is loading")
        is_readiness = path.endswith("/ready")
        if not _is_path_of(model, path.removesuffix("/ready") if is_readiness else path):
            return _refused(404, f"there is nothing at {path}")
        folder = model.folder
        if is_readiness:
            return _sent(200 if self._is_ready else 503, {"name": folder.name, "ready": self._is_ready})
        described = [
            [{"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)} for spec in specs]
            for specs in (folder.inputs, folder.outputs)
        ]
        about = {"name": folder.name, "versions": [folder.version], "platform": model.platform}
        return _sent(200, {**about, "inputs": described[0], "outputs": described[1]})

    def _infer(self, request: Request, connection: HttpConnection) -> Answer:
        model, path = self._model, request.path
        if model is None:
            return _refused(503, "the model is loading")
        if not _is_path_of(model, path.removesuffix("/infer")):
            return _refused(404, f"there is nothing at {path}")
        if request.method != "POST":
            return _refused(405, f"{path} does not answer {request.method}")
        folder = model.folder
        asked = read_request(request.body, request.headers.get(HEADER_LENGTH), folder.inputs, folder.outputs)

        parent = self._trace.parent_of(request.headers.get("traceparent"))

        def run() -> Any:
            # Gone while it waited behind another run: computing it would only delay the next.
            if connection.is_gone():
                raise NobodyWaits
            if parent is None:
                return model.run(asked.inputs, asked.outputs)
            return self._traced_run(model, asked, parent)

        try:
            outputs = self._run_thread.call(run)
        except (NobodyWaits, BadInput):
            raise
        except Exception as error:
            status, headers, parts = _refused(500, sentence_of(error))
            return status, {**headers, "sluice-fault": "model"}, parts
        if not asked.wants_binary:
            return 200, _JSON, [json_response(folder.name, folder.version, asked.id, outputs)]
        header, raws = binary_response(folder.name, folder.version, asked.id, outputs)
        return 200, {**_BINARY, HEADER_LENGTH: len(header)}, [header, *raws]


    def _traced_run(self, model: ServedModel, asked: InferRequest, parent: tuple[str, str]) -> Any:
        began_ns, has_failed = time.time_ns(), False
        try:
            return model.run(asked.inputs, asked.outputs)
        except Exception:
            has_failed = True
            raise
        finally:
            folder = model.folder
            rows = int(asked.inputs[0].shape[0])
            attributes = {"sluice.model": folder.name, "sluice.version": folder.version, "sluice.rows": rows}
            self._trace.finished(parent, began_ns, time.time_ns(), attributes, has_failed)


def _is_path_of(model: ServedModel, path: str) -> bool:
    base = f"/v2/models/{quote(model.folder.name, safe='')}"
    return path in (base, f"{base}/versions/{quote(model.folder.version, safe='')}")


def _refused(status: int, error: str) -> Answer:
    return _sent(status, {"error": error})


def _sent(status: int, content: dict[str, Any]) -> Answer:
    return status, _JSON, [json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")]
