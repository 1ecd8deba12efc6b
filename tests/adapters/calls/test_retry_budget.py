"""Tries again are a part of the calls, however many fail."""

from hypothesis import given
from hypothesis import strategies as st

from lakefront.adapters.calls.retry_budget import RESERVE, TRICKLE, RetryBudget


@given(st.integers(1, 2000), st.integers(1, 5), st.floats(0, 0.01))
def test_retries_are_at_most_a_part_of_the_calls(calls: int, wanted: int, between: float) -> None:
    now = 0.0
    budget = RetryBudget(0.2, clock=lambda: now)
    retries = 0
    for _ in range(calls):
        budget.call()
        retries += sum(budget.take() for _ in range(wanted))
        now += between
    assert retries <= RESERVE + calls * 0.2 + now * TRICKLE


def test_a_single_call_has_all_its_tries() -> None:
    budget = RetryBudget(0.2)
    budget.call()
    assert all(budget.take() for _ in range(4))


def test_what_is_used_up_comes_back() -> None:
    now = 0.0
    budget = RetryBudget(0.2, clock=lambda: now)
    while budget.take():
        pass
    now += 1 / TRICKLE
    assert budget.take()
    assert not budget.take()
