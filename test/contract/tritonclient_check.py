"""Calls a running server with the real tritonclient over HTTP and compares with onnxruntime on the same files.

Usage: tritonclient_check.py HOST:PORT TONE.onnx DENSE.onnx; the key comes in SLUICE_KEY. The endpoints tone, dense and
identity are there, and nobody else calls. Prints one JSON object.
"""

import asyncio
import json
import os
import sys
import urllib.request

import numpy as np
import onnxruntime
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

address, tone_path, dense_path = sys.argv[1:4]
headers = {"Authorization": f"Bearer {os.environ['SLUICE_KEY']}"}
client = triton.InferenceServerClient(url=address, connection_timeout=10, network_timeout=60, concurrency=4)

texts = [
    "It takes courage to ask for help, and you are not alone.",
    "You are a worthless idiot",
    "The train leaves at noon.",
    "",
    "Grüße aus Köln, 谢谢 \U0001f642",
    "a " * 500,
]
rows = np.array([text.encode("utf-8") for text in texts], dtype=np.object_)
session = onnxruntime.InferenceSession(tone_path)
expected = dict(
    zip(["label", "probabilities"], session.run(["label", "probabilities"], {"text": np.array(texts, dtype=object)}))
)
numbers = np.random.default_rng(7).standard_normal((256, 16)).astype(np.float32)
[expected_numbers] = onnxruntime.InferenceSession(dense_path).run(["y"], {"x": numbers})
decode = lambda values: [value.decode() if isinstance(value, bytes) else str(value) for value in np.ravel(values)]
distance = lambda one, other: float(np.abs(one - other).max())


def tensor(name, values, datatype, binary_data=True, library=triton):
    given = library.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary_data)
    return given


def infer(model, inputs, outputs=None, **more):
    # The client writes the length of the JSON into the headers that it is given, so each call gets its own.
    return client.infer(model, inputs, outputs=outputs, headers=dict(headers), **more)


def error_of(work):
    try:
        work()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


def texts_both_ways():
    """JSON and binary, each way and mixed; with the default outputs the client asks for binary ones."""
    found = {}
    for way, binary_in, outputs in [
        ("json", False, [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "probabilities")]),
        ("binary", True, None),
        ("default", False, None),
        (
            "mixed",
            True,
            [triton.InferRequestedOutput("label"), triton.InferRequestedOutput("probabilities", binary_data=False)],
        ),
    ]:
        answer = infer("tone", [tensor("text", rows, "BYTES", binary_in)], outputs, request_id=f"from-{way}")
        found[way] = {
            "id": answer.get_response()["id"],
            "labels": decode(answer.as_numpy("label")),
            "difference": distance(answer.as_numpy("probabilities"), expected["probabilities"]),
            "is_binary": [bool(output.get("parameters")) for output in answer.get_response()["outputs"]],
        }
    one_by_one = [infer("tone", [tensor("text", rows[at : at + 1], "BYTES")]) for at in range(len(rows))]
    found["single"] = max(
        distance(answer.as_numpy("probabilities")[0], expected["probabilities"][at])
        for at, answer in enumerate(one_by_one)
    )
    return found


def every_type():
    """What identity was sent, in JSON and in binary."""
    given = {
        "f32": (np.array([[0.1, -2.5, 3e38]], dtype=np.float32), "FP32"),
        "i64": (np.array([[2**53 - 1, -5, 0]], dtype=np.int64), "INT64"),
        "b": (np.array([[True, False, True]]), "BOOL"),
        "s": (np.array([["grün".encode(), b"", "\U0001f642".encode()]], dtype=np.object_), "BYTES"),
    }
    equal = {}
    for binary in (True, False):
        inputs = [tensor(name, values, datatype, binary) for name, (values, datatype) in given.items()]
        outputs = [triton.InferRequestedOutput(f"{name}_out", binary_data=binary) for name in given]
        answer = infer("identity", inputs, outputs)
        for name, (values, _datatype) in given.items():
            same = decode(values) == decode(answer.as_numpy(f"{name}_out"))
            equal[f"{name} {'binary' if binary else 'json'}"] = same
    return equal


def compressed():
    found = {}
    for way in ("gzip", "deflate"):
        for binary in (True, False):
            answer = infer(
                "dense",
                [tensor("x", numbers, "FP32", binary)],
                [triton.InferRequestedOutput("y", binary_data=binary)],
                request_compression_algorithm=way,
                response_compression_algorithm=way,
            )
            found[f"{way} {binary}"] = distance(answer.as_numpy("y"), expected_numbers)
    return found


def classified():
    found = {}
    for binary in (True, False):
        wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)]
        answer = infer("tone", [tensor("text", rows[:2], "BYTES")], wanted)
        found[str(binary)] = {
            "shape": list(answer.as_numpy("probabilities").shape),
            "classes": decode(answer.as_numpy("probabilities")),
        }
    names = ["hostile", "neutral", "supportive"]
    best = [sorted(enumerate(map(float, row)), key=lambda pair: -pair[1])[:2] for row in expected["probabilities"][:2]]
    found["expected"] = [[value, index, names[index]] for row in best for index, value in row]
    return found


def raw():
    """A body without any JSON, which no method of the client writes but which its parser reads."""

    def call(model, body):
        request = urllib.request.Request(f"http://{address}/v2/models/{model}/infer", data=body, method="POST")
        for name, value in {**headers, "Inference-Header-Content-Length": "0"}.items():
            request.add_header(name, value)
        request.add_header("Content-Type", "application/octet-stream")
        with urllib.request.urlopen(request, timeout=30) as answer:
            header_length = int(answer.headers["Inference-Header-Content-Length"])
            return triton.InferenceServerClient.parse_response_body(answer.read(), header_length=header_length)

    return {
        "numbers": distance(call("dense", numbers.tobytes()).as_numpy("y"), expected_numbers),
        "labels": decode(call("tone", rows[0]).as_numpy("label")),
    }


def statistics():
    before = client.get_inference_statistics("dense", headers=dict(headers))["model_stats"][0]
    infer("dense", [tensor("x", numbers[:7], "FP32")])
    infer("dense", [tensor("x", numbers[:7], "FP32")])
    error_of(lambda: infer("dense", [tensor("x", numbers[:, :3], "FP32")]))
    after = client.get_inference_statistics("dense", "1", headers=dict(headers))["model_stats"][0]
    batches = {entry["batch_size"]: entry["compute_infer"]["count"] for entry in after["batch_stats"]}
    seen = {entry["batch_size"]: entry["compute_infer"]["count"] for entry in before["batch_stats"]}
    grown = lambda name: {
        part: after["inference_stats"][name][part] - before["inference_stats"][name][part] for part in ("count", "ns")
    }
    return {
        "rows": after["inference_count"] - before["inference_count"],
        "runs": after["execution_count"] - before["execution_count"],
        "sevens": batches[7] - seen.get(7, 0),
        "grown": {name: grown(name) for name in after["inference_stats"]},
        "is_later": after["last_inference"] > before["last_inference"],
        "of_all": sorted(entry["name"] for entry in client.get_inference_statistics(headers=dict(headers))["model_stats"]),
        "unknown": error_of(lambda: client.get_inference_statistics("nobody", headers=dict(headers))),
    }


def control():
    """As Triton's own example of it goes."""
    ready = lambda: client.is_model_ready("identity", headers=dict(headers))
    state = lambda: [
        entry["state"]
        for entry in client.get_model_repository_index(headers=dict(headers))
        if entry["name"] == "identity"
    ]
    one = [
        tensor("f32", np.zeros((1, 1), np.float32), "FP32"),
        tensor("i64", np.zeros((1, 1), np.int64), "INT64"),
        tensor("b", np.zeros((1, 1), bool), "BOOL"),
        tensor("s", np.array([[b"a"]], dtype=np.object_), "BYTES"),
    ]
    found = {"before": [ready(), state()]}
    client.unload_model("identity", headers=dict(headers))
    found["unloaded"] = [ready(), state(), error_of(lambda: infer("identity", one))]
    client.load_model("identity", headers=dict(headers))
    found["loaded"] = [ready(), state(), decode(infer("identity", one).as_numpy("s_out"))]
    found["config"] = error_of(lambda: client.load_model("identity", headers=dict(headers), config="{}"))
    found["file"] = error_of(
        lambda: client.load_model("identity", headers=dict(headers), config="{}", files={"file:1/m.onnx": b"x"})
    )
    found["unknown"] = error_of(lambda: client.load_model("nobody", headers=dict(headers)))
    return found


def settings():
    return {
        "trace": client.get_trace_settings("tone", headers=dict(headers)),
        "log": client.get_log_settings(headers=dict(headers)),
        "trace_update": error_of(lambda: client.update_trace_settings(settings={"trace_rate": "1"}, headers=dict(headers))),
        "log_update": error_of(lambda: client.update_log_settings({"log_info": False}, headers=dict(headers))),
        "regions": client.get_system_shared_memory_status(headers=dict(headers)),
        "cuda_regions": client.get_cuda_shared_memory_status(headers=dict(headers)),
        "unregister": [
            client.unregister_system_shared_memory(headers=dict(headers)),
            client.unregister_cuda_shared_memory("a", headers=dict(headers)),
        ],
        "register": error_of(lambda: client.register_system_shared_memory("a", "/a", 16, headers=dict(headers))),
    }


def asynchronous():
    waiting = [
        client.async_infer("tone", [tensor("text", rows[at : at + 1], "BYTES")], headers=dict(headers))
        for at in range(len(rows))
    ]
    return [decode(answer.get_result().as_numpy("label"))[0] for answer in waiting]


async def aio():
    async with triton_aio.InferenceServerClient(url=address) as other:
        answers = await asyncio.gather(
            *(
                other.infer("tone", [tensor("text", rows[at : at + 1], "BYTES")], headers=dict(headers))
                for at in range(len(rows))
            )
        )
        return [decode(answer.as_numpy("label"))[0] for answer in answers]


def scheduled():
    one = [tensor("x", numbers[:1], "FP32")]
    return {
        "difference": distance(infer("dense", one, priority=1, timeout=20_000_000).as_numpy("y"), expected_numbers[:1]),
        "sequence": error_of(lambda: infer("dense", one, sequence_id=7, sequence_start=True)),
    }


print(
    json.dumps(
        {
            "live": client.is_server_live(headers=dict(headers)),
            "ready": client.is_server_ready(headers=dict(headers)),
            "model_ready": client.is_model_ready("tone", headers=dict(headers)),
            "version_ready": client.is_model_ready("tone", "1", headers=dict(headers)),
            "server": client.get_server_metadata(headers=dict(headers)),
            "model": client.get_model_metadata("tone", headers=dict(headers)),
            "version": client.get_model_metadata("tone", "1", headers=dict(headers)),
            "config": client.get_model_config("tone", headers=dict(headers)),
            "version_config": client.get_model_config("dense", "1", headers=dict(headers)),
            "expected_labels": [str(value) for value in expected["label"]],
            "texts": texts_both_ways(),
            "types": every_type(),
            "compressed": compressed(),
            "classified": classified(),
            "raw": raw(),
            "statistics": statistics(),
            "control": control(),
            "settings": settings(),
            "asynchronous": asynchronous(),
            "aio": asyncio.run(aio()),
            "scheduled": scheduled(),
            "refusal": error_of(lambda: infer("tone", [tensor("txet", rows[:1], "BYTES", False)])),
            "no_key": error_of(lambda: client.infer("tone", [tensor("text", rows[:1], "BYTES")])),
        }
    )
)
