"""The REST API of TensorFlow Serving over the contract suite's models, by its documentation and its json_tensor.cc.

    python tf_serving_shape.py MODEL

Writes its port on a line, answers until SIGTERM, and then finishes what it has begun.
"""

import base64
import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from contract_models import NUMPY, ContractModel, WrongInput

TENSORFLOW = {"FP32": "DT_FLOAT", "INT64": "DT_INT64", "BOOL": "DT_BOOL", "BYTES": "DT_STRING"}
model = ContractModel(sys.argv[1])
in_flight: set = set()


def parsed(value):
    """Strings, or bytes as {"b64": ...}, at any depth."""
    if isinstance(value, list):
        return [parsed(part) for part in value]
    if isinstance(value, dict):
        if set(value) != {"b64"}:
            raise WrongInput("JSON Value: is not formatted correctly for base64 data")
        return base64.b64decode(value["b64"], validate=True).decode()
    return value


def tensor(spec: dict, value) -> np.ndarray:
    def wrong_kind(leaf) -> bool:
        if isinstance(leaf, list):
            return any(wrong_kind(part) for part in leaf)
        kinds = {"FP32": (int, float), "INT64": (int,), "BOOL": (bool,), "BYTES": (str,)}[spec["datatype"]]
        return not isinstance(leaf, kinds) or (isinstance(leaf, bool) and spec["datatype"] != "BOOL")

    values = parsed(value)
    if wrong_kind(values):
        raise WrongInput(f"JSON Value is not of expected type: {spec['datatype']}")
    # A whole number beyond the digits of a float is refused as lossy there.
    if spec["datatype"] == "FP32" and any(isinstance(leaf, int) and abs(leaf) >= 2**24 for leaf in np.array(values, object).ravel()):
        raise WrongInput("Cannot convert JSON value to float without loss of precision.")
    return np.array(values, NUMPY[spec["datatype"]])


def inputs_of(body: dict) -> dict[str, np.ndarray]:
    specs = {spec["name"]: spec for spec in model.inputs}
    if ("instances" in body) == ("inputs" in body):
        raise WrongInput("JSON body must have either instances or inputs")
    columns = body.get("inputs")
    if columns is None:
        rows = body["instances"]
        named = isinstance(rows[0], dict) and set(rows[0]) != {"b64"}
        columns = {name: [row[name] for row in rows] for name in rows[0]} if named else rows
    if not isinstance(columns, dict):
        columns = {next(iter(specs)): columns}
    if set(columns) != set(specs):
        raise WrongInput(f"JSON object: does not have named input: {', '.join(sorted(set(specs) - set(columns)))}")
    return {name: tensor(specs[name], value) for name, value in columns.items()}


def nested(name: str, values: np.ndarray):
    listed = values.tolist()
    if not name.endswith("_bytes"):
        return listed
    encode = lambda part: [encode(leaf) for leaf in part] if isinstance(part, list) else {"b64": base64.b64encode(part.encode()).decode()}
    return encode(listed)


def signature() -> dict:
    def side(specs):
        return {
            spec["name"]: {
                "dtype": TENSORFLOW[spec["datatype"]],
                "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in spec["shape"]], "unknown_rank": False},
                "name": f"serving_default_{spec['name']}:0",
            }
            for spec in specs
        }

    return {"inputs": side(model.inputs), "outputs": side(model.outputs), "method_name": "tensorflow/serving/predict"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments) -> None:
        pass

    def answer(self, status: int, content: dict) -> None:
        body = json.dumps(content, indent=4).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def path_parts(self) -> tuple[bool, str]:
        path, _, verb = self.path.partition(":")
        parts = path.removeprefix("/v1/models/").split("/")
        known = path.startswith("/v1/models/") and parts[0] == model.name and parts[1:3] in ([], ["metadata"], ["versions", "1"])
        return known, verb or parts[-1]

    def do_GET(self) -> None:
        known, what = self.path_parts()
        if not known:
            return self.answer(404, {"error": f"Could not find any versions of model {self.path}"})
        if what == "metadata":
            spec = {"name": model.name, "signature_name": "", "version": "1"}
            return self.answer(200, {"model_spec": spec, "metadata": {"signature_def": {"signature_def": {"serving_default": signature()}}}})
        status = {"error_code": "OK", "error_message": ""}
        return self.answer(200, {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": status}]})

    def do_POST(self) -> None:
        in_flight.add(self)
        try:
            self.predict()
        finally:
            in_flight.discard(self)

    def predict(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        known, verb = self.path_parts()
        if not known or verb != "predict":
            return self.answer(404, {"error": f"Servable not found for request: {self.path}"})
        try:
            request = json.loads(body)
            outputs = model.run(inputs_of(request))
            columns = {name: nested(name, values) for name, values in outputs.items()}
        except (WrongInput, ValueError, KeyError, TypeError, IndexError) as error:
            return self.answer(400, {"error": str(error)})
        if "inputs" in request:
            return self.answer(200, {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns})
        if len(columns) == 1:
            return self.answer(200, {"predictions": next(iter(columns.values()))})
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        return self.answer(200, {"predictions": rows})


class Server(ThreadingHTTPServer):
    # Connections that wait for a next request must not keep the process.
    daemon_threads = True

    def handle_error(self, *_arguments) -> None:
        pass  # A client that went away before its answer.


server = Server(("127.0.0.1", 0), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(server.server_address[1], flush=True)
server.serve_forever()
server.server_close()
while in_flight:
    time.sleep(0.01)
