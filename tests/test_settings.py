"""Every setting is described, documented, and read from the environment under its name."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from lakefront.server.cli.reference import settings_page
from lakefront.settings import MIB, OneStream, Settings, StreamSettings

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


def test_the_page_of_settings_is_the_one_that_the_code_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == f"{settings_page()}\n", "run: lakefront settings --out docs/settings.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_and_described(name: str) -> None:
    field = Settings.model_fields[name]
    variable = name.upper() if field.validation_alias else f"LAKEFRONT_{name.upper()}"
    assert field.description
    assert f"| `{variable}` |" in PAGE.read_text(encoding="utf-8")


def test_the_environment_and_then_options_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEFRONT_PORT", "9000")
    monkeypatch.setenv("DATABASE_URL", "postgresql://example/db")
    assert Settings().port == 9000
    assert Settings(port=9001).port == 9001
    assert not Settings().embedded_postgres
    assert not Settings().embedded_redis, "beside an outside database nothing is embedded"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc] # that is what is tested


def test_a_batch_is_no_larger_than_memory_can_hold_several_times() -> None:
    for too_large in ({"seal_bytes": 257 * MIB}, {"streams": {"s": {"seal_bytes": 257 * MIB}}}):
        with pytest.raises(ValidationError, match="less than or equal"):
            Settings.model_validate(too_large)


def test_a_stream_may_have_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEFRONT_STREAMS", '{"sf-permit-events": {"seal_interval": 5, "seal_compression": "zstd"}}')
    settings = Settings(seal_bytes=2048)
    assert settings.stream("sf-permit-events") == OneStream(2, 5.0, 2048, "zstd")
    assert settings.stream("another") == OneStream(2, 30.0, 2048, "gzip")
    assert set(StreamSettings.model_fields) == set(OneStream._fields)


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "localhost", "grpc://collector:4317", "http://", "http://[::1", ""]
)
def test_a_collector_is_named_by_its_url(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="http://collector:4318"):
        Settings(otlp_endpoint=endpoint)


@pytest.mark.parametrize(
    "endpoint", [None, "http://collector:4318", "https://[::1]:4318/v1/traces", "HTTP://collector"]
)
def test_a_collectors_url_is_kept(endpoint: str | None) -> None:
    assert Settings(otlp_endpoint=endpoint).otlp_endpoint == endpoint


def test_the_values_of_a_choice_are_shown() -> None:
    page = settings_page()
    for values in ("`refuse`, `null`", "`gzip`, `zstd`", "`open`, `admin`"):
        assert f"One of {values}." in page
