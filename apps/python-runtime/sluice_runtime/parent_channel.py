"""The line to the process that started this one."""

import json
import os
import socket
from typing import Any

SETTING = "SLUICE_PARENT_FD"


class ParentChannel:
    """
    One JSON object per line, `{"kind": "ready"}` or `{"kind": "failed", "reason": "..."}`, written to a stream that the
    parent opened. The parent writes nothing; when its end closes, it has gone. Without the setting there is no parent,
    and whoever started this process stops it by a signal.
    """

    def __init__(self, stream: socket.socket | None):
        self._stream = stream

    @classmethod
    def open(cls, env: "os._Environ[str]") -> "ParentChannel":
        text = env.pop(SETTING, "")
        if text == "":
            return cls(None)
        stream = socket.socket(fileno=int(text))
        # Nothing that a model starts may hold the line open.
        os.set_inheritable(stream.fileno(), False)
        return cls(stream)

    @property
    def is_open(self) -> bool:
        return self._stream is not None

    def fileno(self) -> int:
        assert self._stream is not None
        return self._stream.fileno()

    def tell(self, **message: Any) -> None:
        if self._stream is None:
            return
        try:
            self._stream.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            # A parent that is gone ends this process by its closed line, not by a failure here.
            pass

    def has_gone(self) -> bool:
        """To be asked when the line is readable."""
        assert self._stream is not None
        try:
            return self._stream.recv(4_096) == b""
        except OSError:
            return True
