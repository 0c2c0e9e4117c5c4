"""An object store for the tests of scenes at URLs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plenostream.testing.web import WebFolder, serving

BUCKET = "scenes"


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """A bucket, behind a proxy that tells what was asked for and whose answers may go wrong."""

    client: Any
    web: WebFolder

    def objects(self, folder: str) -> dict[str, bytes]:
        """What lies below a folder of the bucket, by key relative to it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{folder}/"
        )
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {
            key.removeprefix(f"{folder}/"): self.client.get_object(Bucket=BUCKET, Key=key)[
                "Body"
            ].read()
            for key in keys
        }

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def put_folder(self, folder: Path, key: str) -> None:
        for file in folder.rglob("*"):
            if file.is_file():
                self.put(f"{key}/{file.relative_to(folder).as_posix()}", file.read_bytes())


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """URL of an S3 server of this machine."""
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An empty bucket ``s3://scenes`` that libraries find by the environment."""
    boto3 = pytest.importorskip("boto3")
    with serving(s3_server) as web:
        named = {
            "AWS_ENDPOINT_URL": web.url,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        for name, value in named.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=s3_server)
        client.create_bucket(Bucket=BUCKET)
        yield ObjectStore(client=client, web=web)
        bucket = boto3.resource("s3", endpoint_url=s3_server).Bucket(BUCKET)
        bucket.objects.delete()
        bucket.delete()
