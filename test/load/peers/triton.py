"""Triton's real server with its Python backend and dynamic batching, as nvidia-pytriton packages it."""

import os

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from session import open_session, run

session = open_session()
width = session.get_inputs()[0].shape[1]
classes = session.get_outputs()[0].shape[1]


@batch
def infer(x: np.ndarray) -> list[np.ndarray]:
    return [run(session, x)]


port = int(os.environ["PEER_PORT"])
config = TritonConfig(http_address="127.0.0.1", http_port=port, grpc_port=port + 1, metrics_port=port + 2, log_verbose=0)
with Triton(config=config) as triton:
    triton.bind(
        model_name="peer",
        infer_func=infer,
        inputs=[Tensor(name="x", dtype=np.float32, shape=(width,))],
        outputs=[Tensor(name="y", dtype=np.float32, shape=(classes,))],
        config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        strict=True,
    )
    triton.serve()
