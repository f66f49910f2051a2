"""BentoML with its adaptive batching, one worker."""

from pathlib import Path
import sys

import bentoml
import numpy as np

sys.path.append(str(Path(__file__).resolve().parent))
from session import open_session, run  # noqa: E402


@bentoml.service(workers=1, traffic={"timeout": 30, "max_concurrency": 256})
class Peer:
    def __init__(self) -> None:
        self.session = open_session()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1_000)
    def predict(self, x: np.ndarray) -> np.ndarray:
        return run(self.session, x)
