"""Calls a running server with the real tritonclient over gRPC: unary, aio, streaming, raw and typed contents, control.

Usage: grpc_client_check.py HOST:PORT TONE.onnx PROTO_JSON; the key comes in SLUICE_KEY. The endpoints tone, dense and
datatypes are there, and nobody else calls. Prints one JSON object.
PROTO_JSON holds the messages of our own .proto, so that field names and numbers are compared with the client's own.
"""

import asyncio
import json
import os
import queue
import sys

import ml_dtypes
import numpy as np
import onnxruntime
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import InferenceServerException

address, model_path, proto_path = sys.argv[1:4]
headers = {"authorization": f"Bearer {os.environ['SLUICE_KEY']}"}
client = triton.InferenceServerClient(url=address)
texts = ["It takes courage to ask for help, and you are not alone.", "You are a worthless idiot", "", "Grüße 谢谢"]
rows = np.array([text.encode("utf-8") for text in texts], dtype=np.object_)
session = onnxruntime.InferenceSession(model_path)
expected_labels, expected = session.run(["label", "probabilities"], {"text": np.array(texts, dtype=object)})


def given(batch=rows):
    tensor = triton.InferInput("text", [len(batch)], "BYTES")
    tensor.set_data_from_numpy(batch)
    return [tensor]


def wrong_fields():
    """Fields of ours that tritonclient numbers or names otherwise."""
    wrong = []
    theirs = {**service_pb2.DESCRIPTOR.message_types_by_name, **model_config_pb2.DESCRIPTOR.message_types_by_name}

    def compare(path, fields, descriptor):
        for name, number in fields.items():
            found = descriptor.fields_by_name.get(name)
            if found is None or found.number != number:
                wrong.append(f"{path}.{name}")

    for path, fields in json.load(open(proto_path)).items():
        first, *nested = path.split(".")
        descriptor = theirs.get(first)
        for part in nested:
            descriptor = descriptor and descriptor.nested_types_by_name.get(part)
        if descriptor is None:
            wrong.append(path)
        else:
            compare(path, fields, descriptor)
    return wrong


def error_of(work):
    try:
        work()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return None


def stream():
    answers = queue.Queue()
    with triton.InferenceServerClient(url=address) as streaming:
        streaming.start_stream(callback=lambda result, error: answers.put((result, error)), headers=headers)
        for index in range(20):
            batch = rows[index % len(rows) :][:1]
            streaming.async_stream_infer("tone", given(batch), request_id=str(index))
        streaming.async_stream_infer("nobody", given(), request_id="unknown")
        found = []
        for _ in range(21):
            result, error = answers.get(timeout=30)
            found.append(str(error) if error else [result.get_response().id, result.as_numpy("label")[0].decode()])
        streaming.stop_stream()
    return found


async def aio():
    async with triton_aio.InferenceServerClient(url=address) as asynchronous:
        results = await asyncio.gather(
            *(asynchronous.infer("tone", given(rows[at : at + 1]), headers=headers) for at in range(len(rows)))
        )
        return [result.as_numpy("label")[0].decode() for result in results]


def typed():
    """As clients without raw contents send it."""
    request = service_pb2.ModelInferRequest(model_name="tone")
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode("utf-8") for text in texts)
    answer = client._client_stub.ModelInfer(request, metadata=list(headers.items()))
    by_name = {output.name: output.contents for output in answer.outputs}
    return {
        "labels": [label.decode() for label in by_name["label"].bytes_contents],
        "difference": float(np.abs(np.array(by_name["probabilities"].fp32_contents) - expected.ravel()).max()),
        "raw": len(answer.raw_output_contents),
    }


def asynchronous():
    answers = queue.Queue()
    client.async_infer("tone", given(), callback=lambda result, error: answers.put((result, error)), headers=headers)
    result, error = answers.get(timeout=30)
    return str(error) if error else [label.decode() for label in result.as_numpy("label")]


def final_responses():
    """With and without the mark that a client asks for when it does not know how many answers there will be."""
    answers = queue.Queue()
    with triton.InferenceServerClient(url=address) as streaming:
        streaming.start_stream(callback=lambda result, error: answers.put((result, error)), headers=headers)
        marks = []
        for wanted in (True, False):
            streaming.async_stream_infer("tone", given(rows[:1]), enable_empty_final_response=wanted)
            result, error = answers.get(timeout=30)
            marks.append(str(error) if error else result.get_response().parameters["triton_final_response"].bool_param)
        streaming.stop_stream()
    return marks + [answers.qsize()]


async def aio_stream():
    async def requests():
        for at in range(len(rows)):
            yield {"model_name": "tone", "inputs": given(rows[at : at + 1]), "request_id": str(at)}

    async with triton_aio.InferenceServerClient(url=address) as asynchronous:
        answers = []
        async for result, error in asynchronous.stream_infer(requests(), headers=headers):
            answers.append(str(error) if error else result.as_numpy("label")[0].decode())
        return answers


def classified():
    wanted = [triton.InferRequestedOutput("probabilities", class_count=2)]
    answer = client.infer("tone", given(rows[:2]), outputs=wanted, headers=headers).as_numpy("probabilities")
    names = ["hostile", "neutral", "supportive"]
    best = [sorted(enumerate(map(float, row)), key=lambda pair: -pair[1])[:2] for row in expected[:2]]
    return {
        "shape": list(answer.shape),
        "classes": [value.decode().split(":")[1:] for value in answer.ravel()],
        "expected": [[str(index), names[index]] for row in best for index, _value in row],
    }


def every_number():
    """One tensor of each datatype, raw; of the numbers what came back."""
    numbers = {
        "bool": ("BOOL", np.bool_),
        "u8": ("UINT8", np.uint8),
        "u16": ("UINT16", np.uint16),
        "u32": ("UINT32", np.uint32),
        "u64": ("UINT64", np.uint64),
        "i8": ("INT8", np.int8),
        "i16": ("INT16", np.int16),
        "i32": ("INT32", np.int32),
        "i64": ("INT64", np.int64),
        "f16": ("FP16", np.float16),
        "bf16": ("BF16", ml_dtypes.bfloat16),
        "f32": ("FP32", np.float32),
        "f64": ("FP64", np.float64),
    }
    inputs = []
    for name, (datatype, kind) in numbers.items():
        inputs.append(triton.InferInput(name, [1, 2], datatype))
        inputs[-1].set_data_from_numpy(np.array([[1, 0]]).astype(kind))
    inputs.append(triton.InferInput("bytes", [1, 2], "BYTES"))
    inputs[-1].set_data_from_numpy(np.array([[b"a", b""]], dtype=np.object_))
    answer = client.infer("datatypes", inputs, headers=headers)
    return [[name, answer.as_numpy(f"{name}_out").astype(float).tolist()] for name in numbers]


def dense_input(count):
    tensor = triton.InferInput("x", [count, 16], "FP32")
    tensor.set_data_from_numpy(np.zeros((count, 16), np.float32))
    return [tensor]


def statistics():
    [before] = client.get_inference_statistics("dense", headers=headers).model_stats
    for _ in range(3):
        client.infer("dense", dense_input(5), headers=headers)
    [after] = client.get_inference_statistics("dense", "1", headers=headers).model_stats
    return {
        "rows": after.inference_count - before.inference_count,
        "runs": after.execution_count - before.execution_count,
        "success": after.inference_stats.success.count - before.inference_stats.success.count,
        "infer_ns": after.inference_stats.compute_infer.ns - before.inference_stats.compute_infer.ns,
        "fives": [entry.compute_infer.count for entry in after.batch_stats if entry.batch_size == 5],
        "is_later": after.last_inference > before.last_inference,
        "of_all": sorted(entry.name for entry in client.get_inference_statistics(headers=headers).model_stats),
    }


def control():
    ready = lambda: client.is_model_ready("dense", headers=headers)
    found = {"before": ready()}
    client.unload_model("dense", headers=headers)
    found["unloaded"] = [ready(), error_of(lambda: client.infer("dense", dense_input(1), headers=headers))]
    client.load_model("dense", headers=headers)
    found["loaded"] = [ready(), list(client.infer("dense", dense_input(1), headers=headers).as_numpy("y").shape)]
    found["config"] = error_of(lambda: client.load_model("dense", headers=headers, config="{}"))
    found["unknown"] = error_of(lambda: client.unload_model("nobody", headers=headers))
    return found


def settings():
    return {
        "trace": client.get_trace_settings("tone", headers=headers, as_json=True),
        "log": client.get_log_settings(headers=headers, as_json=True),
        "trace_update": error_of(lambda: client.update_trace_settings(settings={"trace_rate": "1"}, headers=headers)),
        "log_update": error_of(lambda: client.update_log_settings({"log_info": False}, headers=headers)),
        "regions": client.get_system_shared_memory_status(headers=headers, as_json=True),
        "unregister": client.unregister_system_shared_memory(headers=headers),
        "register": error_of(lambda: client.register_cuda_shared_memory("a", b"", 0, 16, headers=headers)),
    }


def scheduled():
    one = given(rows[:1])
    answer = client.infer("tone", one, headers=headers, priority=1, timeout=20_000_000)
    return {
        "label": answer.as_numpy("label")[0].decode(),
        "sequence": error_of(lambda: client.infer("tone", one, headers=headers, sequence_id=7, sequence_start=True)),
    }


result = client.infer(
    "tone", given(), outputs=[triton.InferRequestedOutput("probabilities")], request_id="from-grpc", headers=headers
)
everything = client.infer("tone", given(), headers=headers, compression_algorithm="gzip", client_timeout=20)
deflated = client.infer("tone", given(), headers=headers, compression_algorithm="deflate")
metadata = client.get_model_metadata("tone", headers=headers, as_json=True)
print(
    json.dumps(
        {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready("tone", headers=headers),
            "version_ready": client.is_model_ready("tone", "1", headers=headers),
            "server": client.get_server_metadata(headers=headers, as_json=True),
            "metadata": metadata,
            "index": client.get_model_repository_index(headers=headers, as_json=True),
            "id": result.get_response().id,
            "only_output": [output.name for output in result.get_response().outputs],
            "difference": float(np.abs(result.as_numpy("probabilities") - expected).max()),
            "labels_equal": [label.decode() for label in everything.as_numpy("label")] == list(expected_labels),
            "deflated": [label.decode() for label in deflated.as_numpy("label")],
            "config": client.get_model_config("tone", headers=headers, as_json=True),
            "classified": classified(),
            "every_number": every_number(),
            "statistics": statistics(),
            "control": control(),
            "settings": settings(),
            "scheduled": scheduled(),
            "final_responses": final_responses(),
            "aio_stream": asyncio.run(aio_stream()),
            "expected_labels": list(expected_labels),
            "typed": typed(),
            "aio": asyncio.run(aio()),
            "async": asynchronous(),
            "stream": stream(),
            "no_key": error_of(lambda: client.infer("tone", given())),
            "unknown": error_of(lambda: client.infer("nobody", given(), headers=headers)),
            "late": error_of(lambda: client.infer("tone", given(), headers=headers, client_timeout=0.000001)),
            "wrong_fields": wrong_fields(),
        }
    )
)
