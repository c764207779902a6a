"""A real S3 object store for the tests: SeaweedFS from PyPI, in an environment of its own (`.tools/seaweedfs`).

`running(folder)` serves one bucket on loopback, opened by one key, in clear and over TLS under an authority of its own.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.servers.environment import Environment
from tests.servers.ports import free_port

HERE = Environment("seaweedfs")
missing = HERE.missing

BUCKET = "city"
ACCESS, SECRET = "backup", "a-secret-of-the-drill-xyz"
_PORTS = ("s3", "s3.https", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")


@dataclass(frozen=True)
class Served:
    """Where the store is, in clear and over TLS, and the file of the authority that vouches for the latter."""

    url: str
    secure: str
    authority: Path


@contextmanager
def running(folder: Path) -> Iterator[Served]:
    """Serve out of `folder`. The bucket is there."""
    ports = {name: free_port() for name in _PORTS}
    identity = {
        "name": "backup",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "weed").mkdir()
    named = {}
    for name, port in ports.items():
        server, _, kind = name.partition(".")
        named[f"-{server}.port{'.' if kind else ''}{kind}"] = port
    authority, certificate, key = (folder / name for name in ("authority.pem", "s3.pem", "s3.key"))
    vouching = trustme.CA()
    vouching.cert_pem.write_to_path(str(authority))
    issued = vouching.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    command = [
        HERE.bin("weed"), "server", f"-dir={folder / 'weed'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
        f"-s3.config={folder / 's3.json'}", f"-s3.cert.file={certificate}", f"-s3.key.file={key}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=40", "-master.volumeSizeLimitMB=64",
        *(f"{flag}={port}" for flag, port in named.items()),
    ]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            _await(ports["s3"], process)
            yield Served(f"http://127.0.0.1:{ports['s3']}", f"https://127.0.0.1:{ports['s3.https']}", authority)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    """Make the bucket, once the store takes it."""
    from pyarrow import fs

    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        store = fs.S3FileSystem(
            access_key=ACCESS, secret_key=SECRET, endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1",
            allow_bucket_creation=True, background_writes=False, connect_timeout=10, request_timeout=30,
        )  # fmt: skip
        try:
            store.create_dir(BUCKET)
            with store.open_output_stream(f"{BUCKET}/ready") as stream:
                stream.write(b"ready")
            store.delete_file(f"{BUCKET}/ready")
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise RuntimeError("SeaweedFS does not answer: see weed.log in its folder")
