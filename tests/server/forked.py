"""The command line without the second of its imports: each command is a process forked off one that has made them."""

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen

OURS = ("LAKEFRONT_", "DATABASE_URL", "REDIS_URL", "OBJECT_STORE_URL")

PATIENCE = 120
"""Seconds after which a command is ended by SIGALRM."""

IMPORTED = (
    "lakefront.__main__",
    "lakefront.server.app",  # with all that the server needs
    "lakefront.server.cli.parts",
    "rich.progress",
)

_one_at_a_time = threading.Lock()


def lakefront(
    *arguments: str | Path, piped: str = "", cwd: Path | None = None, **environment: str
) -> CompletedProcess[str]:
    """Run the command line to its end, as ``test_cli.lakefront`` does, and sooner; ``piped`` is its input."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    words = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder, _one_at_a_time:
        given, out, err = Path(folder, "in"), Path(folder, "out"), Path(folder, "err")
        given.write_text(piped)
        order = {
            "arguments": words,
            "environment": {**kept, "COLUMNS": "200", **environment},
            "streams": [str(given), str(out), str(err)],
            "folder": str(cwd or Path.cwd()),
        }
        parent = _parent()
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps(order) + "\n")
        parent.stdin.flush()
        return CompletedProcess(words, int(parent.stdout.readline()), out.read_text(), err.read_text())


@cache
def _parent() -> Popen[str]:
    """The process that has the imports; it ends with its input, and so with us."""
    parent = subprocess.Popen([sys.executable, "-m", __name__], stdin=PIPE, stdout=PIPE, text=True)

    def end() -> None:
        parent.communicate(timeout=PATIENCE)

    atexit.register(end)
    return parent


def _serve() -> None:
    """In the parent: a child for each order, whose exit code is told; in a child: the command."""
    for name in IMPORTED:
        importlib.import_module(name)
    sys.modules["lakefront.graphql.schema"].build_schema()
    gc.freeze()  # the children need not look through all that, and share its memory
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            _command(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _command(order: dict[str, object]) -> None:
    streams, arguments, environment = order["streams"], order["arguments"], order["environment"]
    assert isinstance(streams, list)
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    os.chdir(str(order["folder"]))
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["lakefront", *arguments]
    signal.alarm(PATIENCE)
    sys.modules["lakefront.__main__"].main()


if __name__ == "__main__":
    _serve()
