"""The one thread on which the framework runs."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any


class RunThread:
    """
    Loads the model and runs it, one call after the other, on a thread of its own: the threads that read and write
    answer health meanwhile, and the framework keeps one pool of workers and not one for each connection.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._began_at: float | None = None
        threading.Thread(target=self._work, name="run", daemon=True).start()

    def call(self, work: Callable[[], Any]) -> Any:
        """Waits for its turn and for the outcome. Raises what `work` raises."""
        done = threading.Lock()
        done.acquire()
        job = [work, None, None, done]
        self._jobs.put(job)
        done.acquire()
        if job[2] is not None:
            raise job[2]
        return job[1]

    @property
    def running_seconds(self) -> float:
        """How long the job at hand has taken; 0 when there is none."""
        began_at = self._began_at
        return 0.0 if began_at is None else time.monotonic() - began_at

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            self._began_at = time.monotonic()
            try:
                job[1] = job[0]()
            except BaseException as error:
                job[2] = error
            self._began_at = None
            job[3].release()
            # The next wait may be long, and nothing of this job is to be kept for it.
            del job
