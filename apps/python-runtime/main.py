"""
One model in Python, served as `apps/model-server` serves ONNX: PyTorch and TensorFlow.

    SLUICE_MODEL_DIR           folder with sluice.json
    SLUICE_SOCKET              path of the Unix socket, which answers health beside the runs
    SLUICE_THREADS             threads that one run may use (1)
    SLUICE_DRAIN_SECONDS       how long requests in flight may take at the end (30)
    SLUICE_RUN_LIMIT_SECONDS   a longer run makes /v2/health/live answer 503 (120)
    SLUICE_VERSION             named in the server's metadata
    OTEL_EXPORTER_OTLP_ENDPOINT  collector for the spans of sampled runs
    SLUICE_PARENT_FD           the line to the parent; see sluice_runtime/parent_channel.py

Ends with 0 when it was asked to, 1 on a failure, 2 on wrong settings, 3 when the model cannot be loaded.
"""

import os
import select
import signal
import sys
import threading
import traceback
from typing import Any, NoReturn

DONE, FAILURE, WRONG_SETTINGS, LOAD_FAILURE = 0, 1, 2, 3
FLUSH_SECONDS = 2.0
# Set before the parent is told, which may close its line at once and so let this process end in an orderly way meanwhile.
failure_code: "int | None" = None

# Only this folder's own modules are looked for beside the framework's.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from sluice_runtime.parent_channel import ParentChannel


def main() -> NoReturn:
    parent = ParentChannel.open(os.environ)
    settings = read_settings(os.environ)
    if isinstance(settings, str):
        fail(parent, settings, WRONG_SETTINGS)
    folder_path, socket_path, numbers = settings
    threads = numbers["SLUICE_THREADS"]
    # Frameworks read these when they are imported, long before anyone could tell them otherwise.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # It would print what instructions the machine has at each start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from sluice_runtime.model_server import ModelServer
    from sluice_runtime.run_thread import RunThread
    from sluice_runtime.run_trace import RunTrace

    wake_reader, wake_writer = os.pipe()
    for number in (wake_reader, wake_writer):
        os.set_blocking(number, False)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)

    run_thread = RunThread()
    version = os.environ.get("SLUICE_VERSION", "0")
    trace = RunTrace(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""), version)
    server = ModelServer(version, run_thread, trace, numbers["SLUICE_RUN_LIMIT_SECONDS"])
    try:
        server.listen(socket_path)
    except OSError as error:
        fail(parent, f"cannot listen on {socket_path}: {error.strerror or error}", WRONG_SETTINGS)

    def load() -> None:
        try:
            model = run_thread.call(lambda: load_model(folder_path, threads))
            server.serve(model)
            parent.tell(kind="ready", runtime={"providers": model.providers, "threads": threads, "fallbacks": []})
        except BaseException as error:
            fail_loading(parent, error)

    threading.Thread(target=load, name="load", daemon=True).start()
    wait_for_the_end(parent, wake_reader)
    is_drained = server.drain(numbers["SLUICE_DRAIN_SECONDS"])
    trace.flush(FLUSH_SECONDS)
    exit_now(failure_code if failure_code is not None else DONE if is_drained else FAILURE)


# Each with its default and the largest value.
NUMBERS = {
    "SLUICE_THREADS": (1, 256),
    "SLUICE_DRAIN_SECONDS": (30, 86_400),
    "SLUICE_RUN_LIMIT_SECONDS": (120, 86_400),
}


def read_settings(env: Any) -> "tuple[str, str, dict[str, int]] | str":
    folder, socket_path = env.get("SLUICE_MODEL_DIR", ""), env.get("SLUICE_SOCKET", "")
    if folder == "":
        return "SLUICE_MODEL_DIR: name the folder with sluice.json"
    if socket_path == "":
        return "SLUICE_SOCKET: name the path of the Unix socket"
    numbers = {}
    for name, (by_default, most) in NUMBERS.items():
        text = env.get(name, str(by_default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
            return f"{name}: must be a whole number from 1 to {most}"
        numbers[name] = int(text)
    return folder, socket_path, numbers


def load_model(folder_path: str, threads: int) -> Any:
    """Runs on the run thread. The framework is imported only once the files are known to be the stated ones."""
    from sluice_runtime.model_folder import LoadFailure, open_model_folder
    from sluice_runtime.served_model import ServedModel

    folder = open_model_folder(folder_path)
    if folder.format == "torchscript":
        from sluice_runtime.torchscript_model import TorchScriptModel as Runner
    elif folder.format == "torch-export":
        from sluice_runtime.torch_export_model import TorchExportModel as Runner
    elif folder.format == "tensorflow-savedmodel":
        from sluice_runtime.saved_model import SavedModel as Runner
    elif folder.format == "keras":
        from sluice_runtime.keras_model import KerasModel as Runner
    else:
        raise LoadFailure(f"format {folder.format} is not served here, only PyTorch's and TensorFlow's")
    model = ServedModel(folder, Runner(folder, threads))
    model.warm_up()
    return model


def wait_for_the_end(parent: ParentChannel, wake_reader: int) -> None:
    """Until a signal asks for it, or the parent is gone: without it nobody would ever stop this process."""
    poll = select.poll()
    poll.register(wake_reader, select.POLLIN)
    if parent.is_open:
        poll.register(parent, select.POLLIN)
    while True:
        ready = {number for number, _ in poll.poll()}
        if wake_reader in ready:
            numbers = os.read(wake_reader, 64)
            # Ctrl-C reaches every process of a terminal at once; with a parent, it is the parent that decides who ends when.
            if signal.SIGTERM in numbers or not parent.is_open:
                return
        if parent.is_open and parent.fileno() in ready and parent.has_gone():
            return


def fail_loading(parent: ParentChannel, error: BaseException) -> NoReturn:
    from sluice_runtime.model_folder import LoadFailure

    if isinstance(error, LoadFailure):
        fail(parent, str(error), LOAD_FAILURE)
    if isinstance(error, ImportError):
        fail(parent, f"{sys.executable} cannot import the framework: {error}", FAILURE)
    traceback.print_exception(error)
    fail(parent, f"the model could not be loaded: {type(error).__name__}: {error}", FAILURE)


def fail(parent: ParentChannel, reason: str, code: int) -> NoReturn:
    """Tells the parent (and the log) why, and ends the process."""
    global failure_code
    failure_code = code
    sys.stderr.write(f"{reason}\n")
    parent.tell(kind="failed", reason=reason)
    exit_now(code)


def exit_now(code: int) -> NoReturn:
    """Without the frameworks' own ends, which wait for threads that may be in the middle of a run."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
