"""Windows tell Redis in a moment of what they let in: not after a test's end, to a client that is closed."""

from collections.abc import Iterator
from typing import Any

import pytest

from lakefront.server.limits.windows import Windows


@pytest.fixture(autouse=True)
def nothing_told_later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[Windows] = []
    init = Windows.__init__

    def noted(self: Windows, *arguments: Any, **more: Any) -> None:
        init(self, *arguments, **more)
        made.append(self)

    monkeypatch.setattr(Windows, "__init__", noted)
    yield
    for windows in made:
        if windows._telling is not None:
            windows._telling.cancel()
