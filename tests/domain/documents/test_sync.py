"""Documents into the table: added, kept, removed; all or nothing."""

import pytest

from lakefront.actor import CITY, POLICIES_MANAGE, SCOPES, Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain.documents import sha256_of
from lakefront.domain.documents import sync as module
from lakefront.domain.documents.folder import Files
from lakefront.domain.documents.sync import Report, Stored, remove, stored, sync
from lakefront.errors import Forbidden, NotFound, ValidationError

OPERATOR = system_actor()
A, B, C = "{ a }", "{ b }", "{ c }"


def check(text: str) -> str:
    if "wrong" in text:
        raise ValidationError("There is no such field.")
    return text.strip("{} ")


def files(*texts: str) -> Files:
    return Files(dict.fromkeys(texts, "app.json"), [])


def names(found: list[Stored]) -> list[str]:
    return [each.name for each in found]


async def test_what_is_added_kept_left_and_removed(provisioner: Database, database: Database) -> None:
    async def run(*texts: str, prune: bool = False) -> Report:
        return await sync(provisioner, OPERATOR, files(*texts), check, prune=prune)

    first = await run(A, B)
    assert (names(first.added), first.kept, first.removed, first.left) == (["a", "b"], [], [], [])
    second = await run(B, C)
    assert (names(second.added), names(second.kept), names(second.left)) == (["c"], ["b"], ["a"])
    third = await run(C, prune=True)
    assert (third.added, names(third.kept), names(third.removed)) == ([], ["c"], ["a", "b"])
    (left,) = await stored(database, OPERATOR)
    assert (left.name, left.sha256, left.added_at is not None) == ("c", sha256_of(C), True)


async def test_one_that_is_wrong_keeps_out_all(provisioner: Database, database: Database) -> None:
    documents = {A: "app.json: 1", "{ wrong }": "app.json: 2", "{ wrong too }": "x.graphql"}
    with pytest.raises(ValidationError, match="nothing was changed") as refused:
        await sync(provisioner, OPERATOR, Files(documents, [("b.json", "not JSON")]), check)
    assert [detail["field"] for detail in refused.value.details] == ["app.json: 2", "b.json", "x.graphql"]
    assert await stored(database, OPERATOR) == []


async def test_there_are_only_so_many(provisioner: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    await sync(provisioner, OPERATOR, files(A), check)
    with pytest.raises(ValidationError, match="--prune"):
        await sync(provisioner, OPERATOR, files(B), check)
    assert names((await sync(provisioner, OPERATOR, files(B), check, prune=True)).added) == ["b"]


async def test_single_ones_are_removed_the_last_one_too(provisioner: Database, database: Database) -> None:
    await sync(provisioner, OPERATOR, files(A, B), check)
    hashes = [sha256_of(A), sha256_of(B)]
    with pytest.raises(NotFound, match=f"sha256:{sha256_of(C).hex()}; nothing was changed"):
        await remove(provisioner, OPERATOR, [*hashes, sha256_of(C)])
    assert len(await stored(database, OPERATOR)) == 2
    assert names(await remove(provisioner, OPERATOR, [hashes[1], *hashes])) == ["b", "a"]
    assert await stored(database, OPERATOR) == []


async def test_it_is_the_operators_to_do(provisioner: Database, database: Database) -> None:
    other = Actor("ada", CITY, SCOPES - {POLICIES_MANAGE})
    with pytest.raises(Forbidden):
        await sync(provisioner, other, files(A), check)
    with pytest.raises(Forbidden):
        await remove(provisioner, other, [sha256_of(A)])
    with pytest.raises(Forbidden):
        await stored(database, other)
