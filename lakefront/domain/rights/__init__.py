"""What roles may do (C10, L15): Casbin's rules, compiled into sets of scopes once for each version of the policy."""

from lakefront.domain.rights.policy import DEFAULT, Granted, Policy, Rows, Rule
from lakefront.domain.rights.rights import CHANNEL, Rights

__all__ = ["CHANNEL", "DEFAULT", "Granted", "Policy", "Rights", "Rows", "Rule"]
