"""What a model may not do to this process, whatever a loader would let it."""

import os
import sys
import tempfile
import threading
from typing import Any

_NEVER = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
    "socket.sendto",
    "ftplib.connect",
    "urllib.Request",
)

# Threads of this package's own that talk to others; no model runs on them.
_connecting: set[int] = set()

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


class CodeRefused(PermissionError):
    """A model tried what only code that came with it would do."""


def guard_process() -> None:
    """
    Refuses, from now on and for good, what loading and running a model needs from no loader that was looked at: the names
    that a pickle looks up, other programs, connections, and files written outside the temporary folder. It is Python's
    audit hook (PEP 578): a second line, behind the checks of each format, which no later call can take away. It does not
    see what native code does by itself.
    """
    writable = (os.path.realpath(tempfile.gettempdir()) + os.sep, "/dev/")

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            raise CodeRefused(f"the model holds a pickle that asks for {args[0]}.{args[1]}, and pickles are not read")
        if event == "socket.connect" and threading.get_ident() not in _connecting:
            raise CodeRefused("the model tried to connect to another server, which is not allowed")
        if event in _NEVER:
            raise CodeRefused(f"the model tried {event}, which is not allowed")
        if event == "open" and _writes(args[1], args[2]) and not _is_below(args[0], writable):
            raise CodeRefused("the model tried to write a file, which is not allowed")

    sys.addaudithook(refuse)


def permit_connections() -> None:
    """For the calling thread."""
    _connecting.add(threading.get_ident())


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and flags & _WRITING != 0


def _is_below(path: Any, folders: tuple[str, ...]) -> bool:
    # A number is a file that is open already.
    if isinstance(path, int):
        return True
    # With a separator behind it, the folder itself counts: temporary files are opened by way of it.
    return (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(folders)
