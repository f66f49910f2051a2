"""Calls a running server with the real tritonclient over HTTP and compares with onnxruntime on the same files.

Usage: tritonclient_check.py HOST:PORT TONE.onnx DENSE.onnx; the key comes in SLUICE_KEY. The endpoints tone, dense and
datatypes are there, and nobody else calls. Prints one JSON object.
"""

import asyncio
import json
import os
import sys
import urllib.request

import ml_dtypes
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


# The ends of each range, as far as JSON can carry them: of 64-bit integers it is cut short by digits.
every = {
    "bool": (np.array([[True, False]]), "BOOL"),
    "u8": (np.array([[0, 255]], dtype=np.uint8), "UINT8"),
    "u16": (np.array([[0, 65535]], dtype=np.uint16), "UINT16"),
    "u32": (np.array([[0, 2**32 - 1]], dtype=np.uint32), "UINT32"),
    "u64": (np.array([[0, 2**53 - 1]], dtype=np.uint64), "UINT64"),
    "i8": (np.array([[-128, 127]], dtype=np.int8), "INT8"),
    "i16": (np.array([[-(2**15), 2**15 - 1]], dtype=np.int16), "INT16"),
    "i32": (np.array([[-(2**31), 2**31 - 1]], dtype=np.int32), "INT32"),
    "i64": (np.array([[-(2**53) + 1, 2**53 - 1]], dtype=np.int64), "INT64"),
    "f16": (np.array([[-65504, 6e-8]], dtype=np.float16), "FP16"),
    "bf16": (np.array([[-1.5, 3e38]], dtype=ml_dtypes.bfloat16), "BF16"),
    "f32": (np.array([[-3e38, 1e-40]], dtype=np.float32), "FP32"),
    "f64": (np.array([[-1e308, 5e-324]], dtype=np.float64), "FP64"),
    "bytes": (np.array([["grün 🙂".encode(), b""]], dtype=np.object_), "BYTES"),
}


def unequal_types():
    """What did not come back as it went; the client itself sends BF16 in binary only."""
    unequal = []
    for binary in (True, False):
        inputs = [
            tensor(name, values, datatype, binary or datatype == "BF16") for name, (values, datatype) in every.items()
        ]
        outputs = [triton.InferRequestedOutput(f"{name}_out", binary_data=binary or name == "bf16") for name in every]
        answer = infer("datatypes", inputs, outputs)
        for name, (values, datatype) in every.items():
            got = answer.as_numpy(f"{name}_out")
            if decode(values) != decode(got) or (datatype != "BYTES" and got.dtype != values.dtype):
                unequal.append([name, binary, decode(values), decode(got)])
    return unequal


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
    ready = lambda: client.is_model_ready("datatypes", headers=dict(headers))
    state = lambda: [
        entry["state"]
        for entry in client.get_model_repository_index(headers=dict(headers))
        if entry["name"] == "datatypes"
    ]
    every_input = [tensor(name, values, datatype) for name, (values, datatype) in every.items()]
    found = {"before": [ready(), state()]}
    client.unload_model("datatypes", headers=dict(headers))
    found["unloaded"] = [ready(), state(), error_of(lambda: infer("datatypes", every_input))]
    client.load_model("datatypes", headers=dict(headers))
    found["loaded"] = [ready(), state(), decode(infer("datatypes", every_input).as_numpy("bytes_out"))]
    found["config"] = error_of(lambda: client.load_model("datatypes", headers=dict(headers), config="{}"))
    found["file"] = error_of(
        lambda: client.load_model("datatypes", headers=dict(headers), config="{}", files={"file:1/m.onnx": b"x"})
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
            "unequal_types": unequal_types(),
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
