"""Ray Serve with its batching, one replica."""

import os
import signal

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from session import open_session, run


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Peer:
    def __init__(self) -> None:
        self.session = open_session()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def predict(self, rows: list[list[float]]) -> list[list[float]]:
        return run(self.session, np.asarray(rows, dtype=np.float32)).tolist()

    async def __call__(self, request: Request) -> dict:
        body = await request.json()
        return {"y": await self.predict(body["x"])}


ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False, _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PEER_PORT"])})
serve.run(Peer.bind(), route_prefix="/predict")
signal.sigwait({signal.SIGTERM, signal.SIGINT})
ray.shutdown()
