"""XML becomes plain data; whatever in it is dangerous is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.adapters.calls import Unreadable
from lakefront.adapters.calls.markup import DEEPEST, MOST_ELEMENTS, listed, parsed_xml

LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>"""
FILE = b"""<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>"""


def test_elements_are_members_and_again_a_list() -> None:
    root, value = parsed_xml(b'<?xml version="1.0"?>\n<r><a x="1"> one </a><b/><c><d>1</d><d>2</d><d>3</d></c></r>\n')
    assert (root, value) == ("r", {"a": "one", "b": None, "c": {"d": ["1", "2", "3"]}})
    assert parsed_xml("<r><![CDATA[1 < 2]]> &amp; ü</r>".encode()) == ("r", "1 < 2 & ü")
    assert parsed_xml("<?xml version='1.0' encoding='iso-8859-1'?><r>ü</r>".encode("latin-1")) == ("r", "ü")


def test_a_list_has_none_or_one_or_more() -> None:
    assert listed(parsed_xml(b"<r/>")[1], "a") == []
    assert listed(parsed_xml(b"<r>text</r>")[1], "a") == []
    assert listed(parsed_xml(b"<r><a>1</a></r>")[1], "a") == ["1"]
    assert listed(parsed_xml(b"<r><a>1</a><a><b>2</b></a></r>")[1], "a") == ["1", {"b": "2"}]


@pytest.mark.parametrize("body", [LAUGHS, FILE, b"<!DOCTYPE html><html/>"])
def test_document_types_are_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="document type"):
        parsed_xml(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a>",
        b"<a></b>",
        b"<a>&b;</a>",
        b"<a/><b/>",
        b'<?xml version="1.0" encoding="nobodys"?><a/>',
        b"\0",
    ],
)
def test_what_is_malformed_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="no XML"):
        parsed_xml(body)


def test_depth_and_number_are_bounded() -> None:
    assert parsed_xml(b"<a>" * DEEPEST + b"</a>" * DEEPEST)[0] == "a"
    for body in (b"<a>" * (DEEPEST + 1), b"<r>" + b"<a/>" * MOST_ELEMENTS + b"</r>"):
        with pytest.raises(Unreadable, match="too many elements"):
            parsed_xml(body)


@given(st.binary() | st.text(alphabet="<>/a!?[]&; -\"'=x1").map(str.encode))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert parsed_xml(body)[0]
