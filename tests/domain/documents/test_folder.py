"""An operator's files: the manifests of the tools that there are."""

import json
from pathlib import Path
from typing import Any

import pytest

from lakefront.domain.documents import sha256_of
from lakefront.domain.documents.folder import APOLLO, read_folder
from lakefront.errors import ValidationError

ONE, TWO, THREE = "query One { a }", "query Two { größe }", "query Three { c }\n"


def apollo(**changes: Any) -> dict[str, Any]:
    operation = {"id": sha256_of(TWO).hex(), "name": "Two", "type": "query", "body": TWO}
    return {"format": APOLLO, "version": 1, "operations": [operation | changes]}


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        (folder / name.replace("__", ".")).write_bytes(text)
    return folder


def test_every_form_is_read(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        codegen__json={sha256_of(ONE).hex(): ONE},
        prefixed__json={f"sha256:{sha256_of(ONE).hex()}": ONE},
        apollo__json=apollo(),
        three__graphql=THREE.encode(),
        notes__txt=b"not read",
        empty__json={},
    )
    (folder / "folder.json").mkdir()
    documents, problems = read_folder(folder)
    assert set(documents) == {ONE, TWO, THREE}
    assert documents[THREE] == "three.graphql"
    assert problems == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n "a": ,', "not JSON at line 2, column 7: "),
        (b'"\xff"', "not in UTF-8 from its byte 1 on"),
        ([], "neither"),
        (apollo() | {"version": 2}, "neither"),
        (apollo() | {"format": "another"}, "neither"),
        (apollo() | {"operations": [7]}, "neither"),
        (apollo(id=None), "must be strings"),
        (apollo(id=sha256_of(ONE).hex()), "not the SHA-256"),
        ({"5d41402abc4b2a76b9719d911017c592": ONE}, "'SHA256' (Relay)"),
        ({sha256_of(ONE).hex(): {"body": ONE}}, "must be strings"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, content: Any, message: str) -> None:
    folder = write(tmp_path, bad__json=content, good__graphql=ONE.encode())
    documents, [(where, what)] = read_folder(folder)
    assert where.startswith("bad.json")
    assert message in what
    assert ONE in documents, "what is wrong with it is told in the same round"


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="There is no document"):
        read_folder(tmp_path)
