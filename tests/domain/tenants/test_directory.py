"""Who is there: a tenant that came, was suspended or resumed is known by every server at once."""

import asyncio
import time

import pytest

from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.db.listener import Listener
from lakefront.domain.tenants.directory import CHANNEL, Directory
from lakefront.errors import Forbidden, Unauthenticated
from tests.tenants import onboard


class CountingDirectory(Directory):
    """Counts what it reads."""

    readings = 0

    async def load(self) -> None:
        self.readings += 1
        await super().load()


@pytest.fixture
async def directory(provisioner: Database) -> CountingDirectory:
    made = CountingDirectory(provisioner)
    made.watch(connected=True)
    await made.load()
    return made


async def test_a_tenant_that_came_a_moment_ago_is_known_even_before_its_notice(
    directory: CountingDirectory, provisioner: Database
) -> None:
    await onboard(provisioner, "acme")
    await asyncio.gather(*(directory.require_active("acme") for _ in range(50)))
    assert directory.readings == 2, "those who ask at once share a reading"
    assert directory.known() == ["acme", "city"]


async def test_a_flood_of_unknown_names_costs_two_readings_a_second(directory: CountingDirectory) -> None:
    async def ask(number: int) -> None:
        await asyncio.sleep(number / 500)
        with pytest.raises(Unauthenticated):
            await directory.require_active(f"nobody{number}")

    started = time.monotonic()
    await asyncio.gather(*(ask(number) for number in range(500)))
    assert directory.readings <= 1 + 2 * (time.monotonic() - started) + 1


async def test_a_suspension_is_heard_by_every_server(dsn: str, provisioner: Database) -> None:
    await onboard(provisioner, "acme")
    listener = Listener(dsn)
    directory = Directory(provisioner)
    listener.on(CHANNEL, directory.changed)
    listener.watch(directory.watch)
    await listener.open()
    await directory.require_active("acme")
    elsewhere = Database(dsn, pool_size=1, role=PROVISIONER_ROLE)
    await elsewhere.open()
    for status, refused in (("suspended", True), ("active", False)):
        async with elsewhere.transaction("-") as transaction:
            await transaction.execute("UPDATE tenants.tenant_profiles SET status = $1 WHERE tenant_id = 'acme'", status)
            await transaction.execute("SELECT pg_notify($1, 'acme')", CHANNEL)
        async with asyncio.timeout(4):  # at once, but the machine may be busy
            while refused != await is_refused(directory, "acme"):  # noqa: ASYNC110 - it asks PostgreSQL
                await asyncio.sleep(0.01)
    await elsewhere.close()
    await listener.close()


async def test_without_a_listener_what_was_read_holds_for_a_second(provisioner: Database) -> None:
    directory = Directory(provisioner)
    await onboard(provisioner, "acme")
    await directory.require_active("acme")
    async with provisioner.transaction("-") as transaction:
        await transaction.execute("UPDATE tenants.tenant_profiles SET status = 'suspended' WHERE tenant_id = 'acme'")
    async with asyncio.timeout(4):
        while not await is_refused(directory, "acme"):  # noqa: ASYNC110 - it asks PostgreSQL
            await asyncio.sleep(0.05)


async def test_who_is_suspended_is_told_why(provisioner: Database) -> None:
    directory = Directory(provisioner)
    directory.watch(connected=True)
    await onboard(provisioner, "acme")
    for reason, told in (
        ("The invoice of March is unpaid.", "is suspended: The invoice of March is unpaid. Ask whoever runs"),
        ("fällig", "is suspended: fällig. Ask"),
        (None, "is suspended: no reason was given. Ask"),
    ):
        async with provisioner.transaction("-") as transaction:
            await transaction.execute(
                "UPDATE tenants.tenant_profiles SET status = 'suspended', suspension_reason = $1 "
                "WHERE tenant_id = 'acme'",
                reason,
            )
        directory.changed()
        with pytest.raises(Forbidden) as refused:
            await directory.require_active("acme")
        assert told in refused.value.message


async def is_refused(directory: Directory, tenant: str) -> bool:
    try:
        await directory.require_active(tenant)
    except Forbidden:
        return True
    return False
