"""A town's mail, files included, is backed up to an object store by commands, and comes back from it on another machine."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.servers import seaweedfs
from tests.servers.service import Service, service

SETTINGS = """
[connections.courrier]
connector = "maarch"
url = "{mail}"
secret = "courrier"
auth = {{ kind = "basic", user = "{user}" }}
mode = "incremental"
streams = ["resources", "documents"]
network = {{ loopback = true, plaintext = true }}

[backup]
keys = "{keys}"

[backup.targets.nas]
bucket = "{bucket}"
prefix = "city/"
url = "{store}"
access_key = "{access}"
secret = "nas"
network = {{ loopback = true, plaintext = true }}
"""
LISTED = "SELECT res_id, document FROM courrier.documents ORDER BY res_id"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if parts := seaweedfs.missing():
        assert os.environ.get("CI") != "true", parts
        pytest.skip(f"not installed: {parts}")
    with seaweedfs.running(tmp_path_factory.mktemp("seaweedfs")) as served:
        yield served.url


def rows(here: Service) -> list[Any]:
    return [row["values"] for row in here.run("query", LISTED, "--clearance", "personal") if row["type"] == "row"]


def document(here: Service, name: str) -> bytes:
    line = here.command("document", "get", "courrier.documents", name, "--clearance", "personal")[:-1]
    return subprocess.run(line, env=here.environment, capture_output=True, check=True, timeout=60).stdout


@pytest.mark.timeout(600)
def test_mail_and_its_files_come_back_from_an_object_store(tmp_path: Path, store: str) -> None:
    with Sandbox(Maarch(12, document_bytes=30_000)) as mail:
        settings = SETTINGS.format(
            mail=mail.url, user=USER, keys=tmp_path / "apart", bucket=seaweedfs.BUCKET, store=store, access=seaweedfs.ACCESS
        )
        here = service(tmp_path, settings)
        with here.site() as site:
            site.set_secret("courrier", "courrier", SECRET.encode())
        secret = tmp_path / "secret"
        secret.write_text(seaweedfs.SECRET)
        here.run("secret", "set", "backup", "--name", "nas", "--file", str(secret))
        here.run("sync", "run")
        here.run("keys", "export-recovery", "--output", str(tmp_path / "shares"))
        (first,) = here.run("backup", "create", "nas")
        mail.vendor.store.change("res_letterbox", "res_id", 103, status="END")
        here.run("sync", "run")
        (second,) = here.run("backup", "create", "nas")
        assert second["added"] < first["added"] - 12 * 30_000, "files that are there are not copied again"
        assert [each["id"] for each in here.run("backup", "list", "nas")] == [first["id"], second["id"]]
        here.run("backup", "verify", "nas", "--read-all")
        held, kept = rows(here), document(here, rows(here)[0]["document"])

    shutil.rmtree(here.root)
    line = (
        "restore", f"s3://{seaweedfs.BUCKET}/city", str(here.root), "--keys", str(tmp_path / "apart"), "--endpoint", store,
        "--access-key", seaweedfs.ACCESS, "--secret-file", str(secret), "--read-all",
    )  # fmt: skip
    told = subprocess.run(
        [*here.command(*line)[:3], *line, "--json"],
        env=here.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert rows(here) == held
    assert document(here, held[0]["document"]) == kept
    assert kept.startswith(b"%PDF")
    here.run("snapshot", "verify")
    here.run("audit", "verify")
    (row,) = here.run("query", "SELECT status FROM courrier.resources WHERE res_id = 103")[:1]
    assert row["values"] == {"status": "END"}


def test_an_object_that_the_store_lost_or_changed_is_named(tmp_path: Path, store: str) -> None:
    from pyarrow import fs

    with Sandbox(Maarch(3)) as mail:
        settings = SETTINGS.format(
            mail=mail.url, user=USER, keys=tmp_path / "apart", bucket=seaweedfs.BUCKET, store=store, access=seaweedfs.ACCESS
        ).replace('"city/"', '"other/"')
        here = service(tmp_path, settings)
        with here.site() as site:
            site.set_secret("courrier", "courrier", SECRET.encode())
        (tmp_path / "secret").write_text(seaweedfs.SECRET)
        here.run("secret", "set", "backup", "--name", "nas", "--file", str(tmp_path / "secret"))
        here.run("sync", "run")
        here.run("keys", "export-recovery", "--output", str(tmp_path / "shares"))
        here.run("backup", "create", "nas")
        bucket = fs.S3FileSystem(
            access_key=seaweedfs.ACCESS, secret_key=seaweedfs.SECRET, endpoint_override=store.removeprefix("http://"),
            scheme="http", region="us-east-1", background_writes=False,
        )  # fmt: skip
        found = bucket.get_file_info(fs.FileSelector(f"{seaweedfs.BUCKET}/other/data", recursive=True))
        objects = sorted((each for each in found if each.type == fs.FileType.File), key=lambda each: each.size)
        with bucket.open_output_stream(objects[-1].path) as stream:
            stream.write(b"x" * objects[-1].size)
        assert here.run("backup", "verify", "nas") != []
        (flipped,) = [each for each in here.run("backup", "verify", "nas", "--read-all", code=20) if each["type"] == "finding"]
        assert Path(objects[-1].path).name[:12] in str(flipped)
        bucket.delete_file(objects[0].path)
        assert here.run("backup", "verify", "nas", code=20) != []
