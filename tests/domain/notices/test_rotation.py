"""A new encryption key: webhooks' secrets come under it, and stay what they were."""

from lakefront.domain.integrations import CredentialKeys
from lakefront.domain.integrations.rotation import under_unknown_keys
from lakefront.domain.notices.rotation import reencrypt
from lakefront.domain.notices.webhook import read, secrets_of
from tests.domain.notices.house import House


async def test_all_secrets_come_under_the_new_key(house: House) -> None:
    made = [await house.webhook(), await house.webhook()]
    old = house.services.endpoints.keys
    [key] = old._keys.values()
    new_key = b"n" * 32
    both, alone = CredentialKeys([new_key, key]), CredentialKeys([new_key])
    there = (house.services.provisioner, house.services.database, house.actor)
    assert (await reencrypt(*there, alone)).done == 0
    assert len((await reencrypt(*there, alone)).unreadable) == 2
    assert await under_unknown_keys(house.services.provisioner, alone) >= 2
    assert (await reencrypt(*there, both)).done == 2
    assert (await reencrypt(*there, both)).done == 0
    async with house.services.database.transaction(house.actor.tenant) as transaction:
        rows = await read(transaction, house.actor.tenant)
    found = {secrets_of(alone, house.actor.tenant, row)["secret"] for row in rows}
    assert found == {each.secret for each in made}
