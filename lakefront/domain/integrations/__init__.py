"""Outside systems (C7): how a tenant reaches each, who may change that, and what is told of it.

Credentials come in and never out: what is told is which are set, and since when. ``Endpoints`` is what adapters are
made with.
"""

from lakefront.domain.integrations.endpoints import CHANNEL, Endpoints
from lakefront.domain.integrations.integration import (
    MOST_CREDENTIAL,
    Change,
    CredentialState,
    GivenCredentials,
    Integration,
    IntegrationInput,
    adapter_of,
    available,
    credentials_of,
)
from lakefront.domain.integrations.keys import CredentialKeys
from lakefront.domain.integrations.manage import integrations, rotate, upsert
from lakefront.domain.integrations.tokens import TokenCipher
from lakefront.domain.integrations.trial import Trial, adapter, try_out
from lakefront.domain.integrations.writing import Parts

__all__ = [
    "CHANNEL",
    "MOST_CREDENTIAL",
    "Change",
    "CredentialKeys",
    "CredentialState",
    "Endpoints",
    "GivenCredentials",
    "Integration",
    "IntegrationInput",
    "Parts",
    "TokenCipher",
    "Trial",
    "adapter",
    "adapter_of",
    "available",
    "credentials_of",
    "integrations",
    "rotate",
    "try_out",
    "upsert",
]
