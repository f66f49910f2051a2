"""The one way in which every peer runs the model: ONNX Runtime with as many threads per run as Sluice gives it."""

import os

import numpy as np
import onnxruntime


def open_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("PEER_THREADS", "1"))
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, rows: np.ndarray) -> np.ndarray:
    return session.run(["y"], {"x": np.ascontiguousarray(rows, dtype=np.float32)})[0]
