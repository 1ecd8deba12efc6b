"""The states of jobs, at random: any number of workers claim, fail, die and finish beside a model of two keys."""

import asyncio
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from lakefront.actor import system_actor
from lakefront.db.database import PROVISIONER_ROLE, Database
from lakefront.domain import outbox
from lakefront.domain.outbox import JobState, LeaseLost, Pace, claims, finish
from lakefront.domain.outbox.claims import Claim
from lakefront.domain.outbox.outcome import Again, Dead, Outcome, Uncertain
from lakefront.errors import UpstreamError
from tests.domain.outbox.outside import Outside, put

PACE = Pace(lease=3600.0, look_up_after=0.0)
"""Leases that end when the test says so: it moves ``due_at``."""

OUTCOMES = st.sampled_from(
    [Again(0.0), Again(0.0, failed=True), Again(0.0, in_doubt=True), Dead(None), Dead(0.0), Uncertain()]
)

_tenants = count()


@dataclass(eq=False)
class Known:
    """What the model knows of a job."""

    job_id: UUID
    key: str
    state: JobState = JobState.QUEUED
    due: bool = True
    doubt: bool = False
    attempts: int = 0
    claims: list[Claim] = field(default_factory=list)

    @property
    def blocks(self) -> bool:
        return self.state in (JobState.QUEUED, JobState.RUNNING, JobState.UNCERTAIN) or (
            self.state is JobState.DEAD and self.due
        )


@dataclass(frozen=True)
class Doors:
    """What use-cases take."""

    database: Database


class Life(RuleBasedStateMachine):
    """A tenant's jobs in PostgreSQL beside the model."""

    runner: asyncio.Runner
    database: Database
    provisioner: Database

    def __init__(self) -> None:
        super().__init__()
        self.tenant = f"tenant{next(_tenants)}"
        self.jobs: list[Known] = []

    def teardown(self) -> None:
        async def clear() -> None:
            async with self.database.transaction(self.tenant) as transaction:
                await transaction.execute("DELETE FROM lakefront.outbox")

        self.runner.run(clear())

    def open_to_claims(self) -> list[Known]:
        """The first job of each key, where it is due."""
        first: dict[str, Known] = {}
        for job in self.jobs:
            if job.blocks:
                first.setdefault(job.key, job)
        return [job for job in first.values() if job.due]

    @rule(key=st.sampled_from("ab"))
    def enqueue(self, key: str) -> None:
        job_id = self.runner.run(put(self.database, key, tenant=self.tenant))
        self.jobs.append(Known(job_id, key))

    @rule(number=st.integers(0, 9))
    def claim(self, number: int) -> None:
        found = self.runner.run(claims.due(self.provisioner, [Outside.kind], most=50))
        ours = {each.job_id: each for each in found if each.tenant == self.tenant}
        expected = self.open_to_claims()
        assert set(ours) == {job.job_id for job in expected}
        if not expected:
            return
        job = expected[number % len(expected)]
        got = self.runner.run(claims.claim(self.database, ours[job.job_id], [Outside.kind], PACE))
        again = self.runner.run(claims.claim(self.database, ours[job.job_id], [Outside.kind], PACE))
        assert got is not None
        assert again is None
        assert got.was.looking_up == job.doubt
        job.state, job.due, job.doubt, job.attempts = JobState.RUNNING, False, True, job.attempts + 1
        assert got.job.attempt == job.attempts
        job.claims.append(got)

    @precondition(lambda self: any(job.claims for job in self.jobs))
    @rule(number=st.integers(0, 9), outcome=OUTCOMES)
    def settle(self, number: int, outcome: Outcome) -> None:
        job, claim, holds = self._a_claim(number)

        async def write() -> None:
            async with self.database.transaction(self.tenant) as transaction:
                await claims.settle(transaction, claim.job, outcome, UpstreamError())

        if not holds:
            with pytest.raises(LeaseLost):
                self.runner.run(write())
            return
        self.runner.run(write())
        match outcome:
            case Again(_, in_doubt):
                job.state, job.due, job.doubt = JobState.QUEUED, True, in_doubt
            case Dead(replay):
                job.state, job.due, job.doubt = JobState.DEAD, replay is not None, False
            case _:
                job.state, job.due, job.doubt = JobState.UNCERTAIN, False, True

    @precondition(lambda self: any(job.claims for job in self.jobs))
    @rule(number=st.integers(0, 9))
    def done(self, number: int) -> None:
        job, claim, holds = self._a_claim(number)

        async def write() -> bool:
            async with self.database.transaction(self.tenant) as transaction:
                return await finish(transaction, claim.job)

        assert self.runner.run(write()) == holds
        if holds:
            job.state, job.due, job.doubt = JobState.DONE, False, False

    @rule()
    def workers_die(self) -> None:
        async def expire() -> None:
            async with self.database.transaction(self.tenant) as transaction:
                await transaction.execute("UPDATE lakefront.outbox SET due_at = now() WHERE state = 'RUNNING'")

        self.runner.run(expire())
        for job in self.jobs:
            job.due = job.due or job.state is JobState.RUNNING

    @rule(number=st.integers(0, 9), discard=st.booleans(), sure=st.booleans())
    def somebody_decides(self, number: int, discard: bool, sure: bool) -> None:
        doors, actor = Doors(self.database), system_actor(self.tenant)
        letters = self.runner.run(outbox.waiting(doors, actor))
        waiting = {job.job_id for job in self.jobs if job.state in (JobState.DEAD, JobState.UNCERTAIN)}
        assert {letter.job_id for letter in letters} <= waiting
        if not letters:
            return
        letter = letters[number % len(letters)]
        [job] = [each for each in self.jobs if each.job_id == letter.job_id]
        assert letter.uncertain == (job.state is JobState.UNCERTAIN)
        if discard:
            self.runner.run(outbox.discard(doors, actor, str(letter.letter_id)))
            job.state, job.due, job.doubt = JobState.DEAD, False, False
        else:
            self.runner.run(outbox.replay(doors, actor, str(letter.letter_id), not_carried_out=sure))
            job.state, job.due, job.doubt = JobState.QUEUED, True, letter.uncertain and not sure

    @invariant()
    def rows_are_as_the_model_has_them(self) -> None:
        async def read() -> list[tuple[UUID, str, bool, int]]:
            async with self.database.transaction(self.tenant) as transaction:
                rows = await transaction.fetch(
                    "SELECT job_id, state, in_doubt_since IS NOT NULL, attempts FROM lakefront.outbox ORDER BY number"
                )
                return [tuple(row) for row in rows]

        expected = [(job.job_id, job.state.value, job.doubt, job.attempts) for job in self.jobs]
        assert self.runner.run(read()) == expected

    def _a_claim(self, number: int) -> tuple[Known, Claim, bool]:
        """One of all claims ever made, and whether it still holds."""
        every = [(job, claim) for job in self.jobs for claim in job.claims]
        job, claim = every[number % len(every)]
        return job, claim, job.state is JobState.RUNNING and claim.job.attempt == job.attempts


def test_jobs_keep_to_the_model(dsn: str) -> None:
    with asyncio.Runner() as runner:
        database, provisioner = Database(dsn, pool_size=2), Database(dsn, pool_size=1, role=PROVISIONER_ROLE)
        for each in (database, provisioner):
            runner.run(each.open())
        try:
            run_state_machine_as_test(
                type("LifeHere", (Life,), {"runner": runner, "database": database, "provisioner": provisioner}),
                settings=settings(max_examples=10, stateful_step_count=25, deadline=None),
            )
        finally:
            for each in (database, provisioner):
                runner.run(each.close())
