"""What API keys promise (T2, T4, L14): shown once, looked up by hash, rotated with an overlap, revoked at once."""

from lakefront.actor import Actor
from lakefront.domain import api_keys
from lakefront.domain.services import Services


async def test_a_key_is_shown_once_and_found_by_its_hash(services: Services, actor: Actor) -> None:
    made = await api_keys.create(services, actor, "CI of the permit office", ["reader"])
    assert made.text.startswith("city_api_")
    found = await api_keys.find(services.database, made.text)
    assert found is not None
    assert (found.key_id, found.tenant, found.roles) == (made.key.key_id, "city", ("reader",))
    assert await api_keys.keys(services, actor) == [made.key]
    again = await api_keys.rotate(services, actor, made.key.key_id)
    assert await api_keys.find(services.database, again.text)
    assert await api_keys.revoke(services, actor, made.key.key_id)
    assert await api_keys.find(services.database, made.text) is None
