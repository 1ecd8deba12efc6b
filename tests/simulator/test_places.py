"""The made-up map: every address has a place, and every place an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.simulator.places import AREAS, STREETS, find, nearest


@given(st.integers(1, 2000), st.sampled_from(STREETS), st.sampled_from(AREAS))
def test_reverse_is_the_inverse_of_forward(number: int, street: str, area: object) -> None:
    place = find(f"{number} {street}, {area.name}")  # type: ignore[attr-defined]
    assert place is not None
    assert nearest(place.latitude, place.longitude) == place


@pytest.mark.parametrize(
    ("text", "borough", "line"),
    [
        ("123 Broadway, New York, NY", "MANHATTAN", "123 Broadway"),
        ("123 broadway", "MANHATTAN", "123 Broadway"),
        ("2533 BATCHELDER STREET, BROOKLYN", "BROOKLYN", "2533 Batchelder Street"),
        ("109-189 Benziger Ave, Staten Island", "STATEN ISLAND", "109 Benziger Avenue"),
        ("12 Main St., 11375", "QUEENS", "12 Main Street"),
        ("12 Main St Bronx", "BRONX", "12 Main Street"),
        ("1 City Hall Sq, Boston, MA", "", "1 City Hall Sq"),
    ],
)
def test_addresses_are_read_as_people_write_them(text: str, borough: str, line: str) -> None:
    place = find(text)
    assert place is not None
    assert (place.area.borough, place.line) == (borough, line)


@pytest.mark.parametrize("text", ["", "Broadway", "123", "12 Nowhere Street, Bronx", "¿?", "123 456"])
def test_some_are_no_addresses(text: str) -> None:
    assert find(text) is None


def test_far_away_is_no_address() -> None:
    assert nearest(0, 0) is None


def test_the_same_address_is_the_same_place() -> None:
    assert find("12 Any Street, Bronx") == find("12  ANY ST, bronx")
