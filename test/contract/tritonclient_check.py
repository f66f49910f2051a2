"""Calls a running server with the real tritonclient over HTTP, JSON and binary, and compares with onnxruntime on the same file.

Usage: tritonclient_check.py HOST:PORT MODEL.onnx; the key comes in SLUICE_KEY. Prints one JSON object.
"""

import json
import os
import sys

import numpy as np
import onnxruntime
import tritonclient.http as triton

address, model_path = sys.argv[1:3]
headers = {"Authorization": f"Bearer {os.environ['SLUICE_KEY']}"}
client = triton.InferenceServerClient(url=address, connection_timeout=10, network_timeout=30)

texts = [
    "It takes courage to ask for help, and you are not alone.",
    "You are a worthless idiot",
    "The train leaves at noon.",
    "",
    "Grüße aus Köln, 谢谢 \U0001f642",
    "a " * 500,
]
rows = np.array([text.encode("utf-8") for text in texts], dtype=np.object_)


def infer(batch):
    given = triton.InferInput("text", [len(batch)], "BYTES")
    given.set_data_from_numpy(batch, binary_data=False)
    wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "probabilities")]
    answer = client.infer("tone", [given], outputs=wanted, headers=dict(headers), request_id="from-triton")
    return answer.as_numpy("label"), answer.as_numpy("probabilities"), answer.get_response()


session = onnxruntime.InferenceSession(model_path)
expected = dict(zip(["label", "probabilities"], session.run(["label", "probabilities"], {"text": np.array(texts, dtype=object)})))
labels, probabilities, response = infer(rows)
one_by_one = [infer(rows[index : index + 1]) for index in range(len(rows))]
# The client writes the length of the JSON into the headers that it is given, so each call gets its own.
# As the client does by itself: tensors and answers in binary, and one output each way.
binary = triton.InferInput("text", [len(rows)], "BYTES")
binary.set_data_from_numpy(rows)
mixed = [triton.InferRequestedOutput("label"), triton.InferRequestedOutput("probabilities", binary_data=False)]
binary_answer = client.infer("tone", [binary], headers=dict(headers))
mixed_answer = client.infer("tone", [binary], outputs=mixed, headers=dict(headers))
# Without a list of outputs the client asks for binary ones; the server may answer JSON, and the client must cope.
plain = triton.InferInput("text", [1], "BYTES")
plain.set_data_from_numpy(rows[:1], binary_data=False)
default_outputs = client.infer("tone", [plain], headers=dict(headers)).as_numpy("probabilities")

try:
    wrong = triton.InferInput("txet", [1], "BYTES")
    wrong.set_data_from_numpy(rows[:1], binary_data=False)
    client.infer("tone", [wrong], headers=dict(headers))
    refusal = None
except Exception as error:
    refusal = str(error)

decode = lambda values: [value.decode() if isinstance(value, bytes) else str(value) for value in values]
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
            "id": response.get("id"),
            "labels_equal": decode(labels) == [str(value) for value in expected["label"]],
            "largest_difference": float(np.abs(probabilities - expected["probabilities"]).max()),
            "shape": list(probabilities.shape),
            "dtype": str(probabilities.dtype),
            "single_difference": float(
                max(np.abs(single[1][0] - expected["probabilities"][index]).max() for index, single in enumerate(one_by_one))
            ),
            "binary_labels_equal": decode(binary_answer.as_numpy("label")) == [str(value) for value in expected["label"]],
            "binary_is_binary": all(
                "binary_data_size" in output["parameters"] for output in binary_answer.get_response()["outputs"]
            ),
            "binary_difference": float(np.abs(binary_answer.as_numpy("probabilities") - expected["probabilities"]).max()),
            "mixed_labels_equal": decode(mixed_answer.as_numpy("label")) == [str(value) for value in expected["label"]],
            "mixed_difference": float(np.abs(mixed_answer.as_numpy("probabilities") - expected["probabilities"]).max()),
            "default_outputs_difference": float(np.abs(default_outputs - expected["probabilities"][:1]).max()),
            "refusal": refusal,
        }
    )
)
