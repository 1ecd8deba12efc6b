"""Documents into the table: added, kept, removed; all or nothing."""

import pytest

from lakefront.actor import CITY, POLICIES_MANAGE, SCOPES, Actor, system_actor
from lakefront.db.database import Database
from lakefront.domain.documents import sha256_of
from lakefront.domain.documents import sync as module
from lakefront.domain.documents.sync import Report, Stored, stored, sync
from lakefront.errors import Forbidden, ValidationError

OPERATOR = system_actor()
A, B, C = "{ a }", "{ b }", "{ c }"


def check(text: str) -> str:
    if "wrong" in text:
        raise ValidationError("There is no such field.")
    return text.strip("{} ")


def names(found: list[Stored]) -> list[str]:
    return [each.name for each in found]


async def test_what_is_added_kept_left_and_removed(provisioner: Database, database: Database) -> None:
    async def run(*texts: str, prune: bool = False) -> Report:
        return await sync(provisioner, OPERATOR, dict.fromkeys(texts, "app.json"), check, prune=prune)

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
    with pytest.raises(ValidationError) as refused:
        await sync(provisioner, OPERATOR, documents, check)
    assert [detail["field"] for detail in refused.value.details] == ["app.json: 2", "x.graphql"]
    assert await stored(database, OPERATOR) == []


async def test_there_are_only_so_many(provisioner: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    await sync(provisioner, OPERATOR, {A: ""}, check)
    with pytest.raises(ValidationError, match="--prune"):
        await sync(provisioner, OPERATOR, {B: ""}, check)
    assert names((await sync(provisioner, OPERATOR, {B: ""}, check, prune=True)).added) == ["b"]


async def test_it_is_the_operators_to_do(provisioner: Database, database: Database) -> None:
    other = Actor("ada", CITY, SCOPES - {POLICIES_MANAGE})
    with pytest.raises(Forbidden):
        await sync(provisioner, other, {A: ""}, check)
    with pytest.raises(Forbidden):
        await stored(database, other)
