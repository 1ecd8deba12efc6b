"""By which names a request asks for its document."""

from hashlib import sha256
from typing import Any

import pytest

from lakefront.domain.documents import asked_for, sha256_of
from lakefront.errors import BadRequest

TEXT = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"
NAME = "7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"  # the draft's own example


def apollo(hash_: Any, version: Any = 1) -> dict[str, Any]:
    return {"persistedQuery": {"version": version, "sha256Hash": hash_}}


def test_the_drafts_example() -> None:
    assert sha256_of(TEXT).hex() == NAME
    assert sha256_of("{ größe }") == sha256("{ größe }".encode()).digest()


def test_both_protocols_name_the_same() -> None:
    expected = bytes.fromhex(NAME)
    assert asked_for(None, {}) is None
    assert asked_for(f"sha256:{NAME}", {}) == expected
    assert asked_for(NAME, {}) == expected
    assert asked_for(None, apollo(NAME)) == expected
    assert asked_for(None, apollo(NAME.upper())) == expected
    assert asked_for(NAME, apollo(NAME)) == expected


@pytest.mark.parametrize(
    "document_id",
    ["", "sha256:", NAME[1:], NAME.upper(), f"SHA256:{NAME}", f"md5:{NAME}", f"{NAME}\n", 7, [NAME], True],
)
def test_other_ids_are_refused(document_id: Any) -> None:
    with pytest.raises(BadRequest, match="documentId must be 'sha256:'"):
        asked_for(document_id, {})


@pytest.mark.parametrize(
    "asked", [[], "x", {}, {"version": 1}, {"version": 1, "sha256Hash": 7}, {"sha256Hash": NAME}, {"version": 2}]
)
def test_other_extensions_are_refused(asked: Any) -> None:
    with pytest.raises(BadRequest, match=r"persisted ?[qQ]uery"):
        asked_for(None, {"persistedQuery": asked})


def test_two_names_must_agree() -> None:
    with pytest.raises(BadRequest, match="different documents"):
        asked_for(NAME, apollo(sha256_of("{ other }").hex()))
