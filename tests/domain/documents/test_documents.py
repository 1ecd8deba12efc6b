"""What document a request gets, by the mode of its actor."""

import pytest

from lakefront.actor import Actor
from lakefront.db.database import Database
from lakefront.domain.documents import Documents, Mode, Modes, Trusted, sha256_of
from lakefront.errors import (
    BadRequest,
    DocumentNotTrusted,
    LakefrontError,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)

TRUSTED = "{ permits { totalCount } }"
OTHER = "{ permits { nodes { permitId } } }"
ADD = "INSERT INTO lakefront.persisted_documents (sha256, name, document) VALUES ($1, '', $2)"


def actor(role: str, tenant: str = "city") -> Actor:
    return Actor("ada", tenant, frozenset(), roles=frozenset({role}))


@pytest.fixture
async def documents(database: Database, provisioner: Database) -> Documents:
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(ADD, sha256_of(TRUSTED), TRUSTED)
    return Documents(Modes(Mode.APQ, {"viewer": Mode.TRUSTED_ONLY, "old": Mode.OFF}), Trusted(database))


@pytest.mark.parametrize("role", ["reader", "viewer"])
async def test_a_trusted_document_is_found_and_taken(documents: Documents, role: str) -> None:
    name = sha256_of(TRUSTED)
    for sent, sha256 in (("", name), (TRUSTED, name), (TRUSTED, None)):
        assert await documents.text(actor(role), sent, sha256) == TRUSTED


async def test_others_are_registered_where_that_may_be(documents: Documents) -> None:
    reader, name = actor("reader"), sha256_of(OTHER)
    with pytest.raises(PersistedQueryNotFound) as missed:
        await documents.text(reader, "", name)
    assert missed.value.message == "PersistedQueryNotFound"  # word for word what clients wait for
    assert missed.value.graphql_code == "PERSISTED_QUERY_NOT_FOUND"
    assert "as 'query' beside it" in missed.value.details[0]["message"]
    assert await documents.text(reader, OTHER, name) == OTHER
    with pytest.raises(PersistedQueryNotFound):
        await documents.text(reader, "", name)  # nobody has said that it is valid
    await documents.keep(reader, OTHER, name)
    assert await documents.text(reader, "", name) == OTHER
    with pytest.raises(PersistedQueryNotFound):
        await documents.text(actor("reader", "acme"), "", name)
    with pytest.raises(PersistedQueryNotFound) as missed:
        await documents.text(actor("viewer"), "", name)
    assert "lakefront documents sync" in missed.value.details[0]["message"]


@pytest.mark.parametrize("sha256", [None, sha256_of(OTHER)])
async def test_trusted_only_refuses_other_documents(documents: Documents, sha256: bytes | None) -> None:
    with pytest.raises(DocumentNotTrusted, match="lakefront documents sync") as refused:
        await documents.text(actor("viewer"), OTHER, sha256)
    assert sha256_of(OTHER).hex() in refused.value.details[0]["message"]
    assert await documents.text(actor("viewer"), "", None) == ""  # told by whoever reads documents


async def test_off_takes_texts_alone(documents: Documents) -> None:
    assert await documents.text(actor("old"), OTHER, None) == OTHER
    for sent in ("", TRUSTED):
        with pytest.raises(PersistedQueryNotSupported, match=r"^PersistedQueryNotSupported$") as refused:
            await documents.text(actor("old"), sent, sha256_of(TRUSTED))
        assert "Send the document's text as 'query'" in refused.value.details[0]["message"]


@pytest.mark.parametrize("role", ["reader", "viewer"])
async def test_text_and_name_must_fit(documents: Documents, role: str) -> None:
    with pytest.raises(BadRequest, match="provided sha does not match query"):
        await documents.text(actor(role), OTHER, sha256_of(TRUSTED))
    with pytest.raises(LakefrontError):
        await documents.text(actor(role), "", sha256_of(OTHER))
