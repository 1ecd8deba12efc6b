"""Which mode holds for whom."""

import pytest

from lakefront.domain.documents import Mode, Modes
from lakefront.settings import Settings


@pytest.mark.parametrize(
    ("roles", "mode"),
    [
        ((), Mode.OFF),
        (("reader",), Mode.OFF),
        (("viewer",), Mode.TRUSTED_ONLY),
        (("viewer", "reader"), Mode.TRUSTED_ONLY),
        (("viewer", "made-up"), Mode.TRUSTED_ONLY),
        (("viewer", "developer"), Mode.APQ),
        (("developer", "reader"), Mode.APQ),
    ],
)
def test_the_freest_of_ones_own_modes_holds(roles: tuple[str, ...], mode: Mode) -> None:
    modes = Modes(Mode.OFF, {"viewer": Mode.TRUSTED_ONLY, "developer": Mode.APQ})
    assert modes.of(frozenset(roles)) is mode


def test_they_are_read_from_the_settings() -> None:
    settings = Settings(persisted_documents="trusted-only", persisted_documents_by_role={"admin": "off"})
    modes = Modes.of_settings(settings)
    assert (modes.of({"reader"}), modes.of({"admin"})) == (Mode.TRUSTED_ONLY, Mode.OFF)
    assert Modes.of_settings(Settings()).of({"reader"}) is Mode.APQ
