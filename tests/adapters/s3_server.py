"""An S3 on a real socket: moto's server, its requests one after another.

moto looks whether a key is there and then writes it, in two steps: of two requests at once both may find nothing. S3
decides at once, so here each request has the server for itself.
"""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import boto3  # type: ignore[import-untyped]
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server

BUCKET = "lake"

CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""The environment of a client that is to find these credentials and no others."""


class _OneAtATime:
    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # A slow sender must not hold the lock.
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        with self._lock:
            return [b"".join(self._app(environ, start_response))]


class _Server(ThreadedMotoServer):
    def _server_entry(self) -> None:
        self._server = make_server(self._ip_address, self._port, _OneAtATime(), threaded=True)
        self._server_ready_event.set()
        with self._server:
            self._server.serve_forever()


@contextmanager
def s3_server() -> Iterator[str]:
    """The endpoint (http://…) of a fresh S3 with an empty bucket ``BUCKET``."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would tell of every request
    server = _Server("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = admin(endpoint)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint
    finally:
        server.stop()


def admin(endpoint: str) -> Any:
    """A client with every right, not ours, to look at what is there."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="admin", aws_secret_access_key="admin"
    )
