"""What a process knows of one window or bucket without asking: that nothing is left, or that there is plenty."""

from typing import NamedTuple

from lakefront.server.limits.policies import Policy
from lakefront.server.limits.shared import Taken


class Standing(NamedTuple):
    """How somebody stands with a policy after an attempt.

    ``remaining`` are left; more will be in ``reset`` seconds. ``wait`` are the seconds until a refused attempt may be
    made again, ``None`` for one that was let in.
    """

    policy: Policy
    remaining: int
    reset: float
    wait: float | None = None


class Room:
    """One window or bucket as Redis last told of it, and what was let in since. Times are of this process' clock.

    Of what was let in Redis is yet to hear the ``untold``, and may or may not have heard what is ``under_way``; both
    together are never more than the policy's ``ahead``. What Redis decides itself comes on top: nothing is let in
    before that is known (``asking``), as Redis would decide without knowing of it.
    """

    __slots__ = (
        *("policy", "key", "untold", "under_way", "_asking"),
        *("_left", "_reset_at", "_until", "_full_until", "_full_from", "_full_left"),
    )

    def __init__(self, policy: Policy, key: str) -> None:
        self.policy = policy
        self.key = key
        self.untold = self.under_way = self._asking = 0
        self._left = 0
        self._reset_at = self._until = 0.0
        self._full_until, self._full_from, self._full_left = 0.0, 0, 0

    @property
    def idle(self) -> bool:
        """Whether it may be forgotten: nobody but this process knows what is not told yet."""
        return not (self.untold or self.under_way or self._asking)

    def refusal(self, amount: int, now: float) -> Standing | None:
        """The answer to an attempt for which there is no room, as this process knows already."""
        left = self._full_until - now
        return Standing(self.policy, self._full_left, left, left) if left > 0 and amount >= self._full_from else None

    def has_plenty(self, amount: int, now: float) -> bool:
        """Whether there is so much room for an attempt, and it is known, that it may be let in before Redis hears."""
        policy = self.policy
        return (
            now < self._until
            and self._left - amount >= policy.plenty
            and self.untold + self.under_way + amount <= policy.ahead
            and not self._asking
        )

    def let_in(self, amount: int, now: float) -> Standing:
        """The answer to an attempt for which it ``has_plenty`` of room, which then is to be told."""
        policy = self.policy
        self._left = left = self._left - amount
        self._reset_at += amount * policy.each
        self.untold += amount
        return Standing(policy, left, max(0.0, self._reset_at - now))

    def ask(self, amount: int) -> int:
        """Somebody is about to ask for ``amount`` (0: only to tell); what is to be told with it."""
        owed, self.untold = self.untold, 0
        self.under_way += owed
        self._asking += amount > 0
        return owed

    def learn(self, amount: int, owed: int, taken: Taken, now: float, *, until: float) -> Standing:
        """How whoever asked stands. What there is holds ``until`` then, less what was let in meanwhile."""
        self.under_way -= owed
        self._asking -= amount > 0
        policy = self.policy
        remaining = max(0, policy.limit - taken.count)
        self._left = remaining - self.untold - self.under_way
        self._reset_at, self._until = now + taken.reset, until
        if policy.bucket and taken.wait is not None:
            self._full_until, self._full_from, self._full_left = now + taken.wait, amount, remaining
        elif not policy.bucket and remaining == 0:
            self._full_until, self._full_from, self._full_left = now + taken.reset, 1, 0
        return Standing(policy, remaining, taken.reset, taken.wait)
