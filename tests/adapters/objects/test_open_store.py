"""Which URL means which store."""

from pathlib import Path

import pytest

from lakefront.adapters.objects import LocalStore, open_store
from lakefront.adapters.objects.s3 import S3Store
from lakefront.adapters.objects.s3_url import S3Location


def test_without_a_url_it_is_a_folder_of_the_servers_own(tmp_path: Path) -> None:
    store = open_store(None, tmp_path)
    assert isinstance(store, LocalStore)
    assert store.folder == tmp_path / "objects"


@pytest.mark.parametrize("url", ["file:///data/my%20lake", "file://localhost/data/my%20lake"])
def test_a_file_url_is_a_folder(url: str, tmp_path: Path) -> None:
    store = open_store(url, tmp_path)
    assert isinstance(store, LocalStore)
    assert store.folder == Path("/data/my lake")


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://lake", S3Location("lake")),
        ("s3://lake/?region=eu-west-1", S3Location("lake", None, "eu-west-1")),
        ("s3://lake?prefix=/a/b/", S3Location("lake", prefix="a/b/")),
        ("s3://lake?prefix=&region=&endpoint=", S3Location("lake")),
        (
            "s3://my.lake?endpoint=https://0a.r2.cloudflarestorage.com/&region=auto",
            S3Location("my.lake", "https://0a.r2.cloudflarestorage.com", "auto"),
        ),
        ("s3://lake?endpoint=http%3A%2F%2F[::1]%3A9000", S3Location("lake", "http://[::1]:9000")),
    ],
)
def test_an_s3_url_is_a_bucket(url: str, location: S3Location, tmp_path: Path) -> None:
    store = open_store(url, tmp_path)
    assert isinstance(store, S3Store)
    assert store.location == location


@pytest.mark.parametrize(
    "url",
    ["", "lake", "/data", "gs://lake", "https://lake.example", "file://host/data", "file:data", "file:", "S3//x"],
)
def test_other_urls_are_refused_with_what_is_allowed(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"file:///folder or s3://bucket\?endpoint="):
        open_store(url, tmp_path)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://AKIA:hunter2@lake", "credentials"),
        ("s3://lake?endpoint=https://AKIA:hunter2@host", "more than a host"),
        ("s3://lake?endpoint=https://host/hunter2", "more than a host"),
        ("s3://lake?endpoint=https://host?hunter2", "more than a host"),
        ("s3://lake?endpoint=ftp://hunter2", "no http"),
        ("s3://lake?endpoint=hunter2", "no http"),
        ("s3://lake?secret_key=hunter2", "an option"),
        ("s3://lake?prefix=a&prefix=hunter2", "twice"),
        ("s3://lake?prefix=../hunter2", "prefix"),
        ("s3://lake?prefix=" + "hunter2" * 20, "longer than"),
        ("s3://lake?region=hunter2!", "region"),
        ("s3://lake/hunter2", "path"),
        ("s3://", "bucket"),
        ("s3://h*hunter2", "bucket"),
    ],
)
def test_a_wrong_s3_url_is_refused_without_being_repeated(url: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        open_store(url, tmp_path)
    assert "hunter2" not in str(raised.value)
