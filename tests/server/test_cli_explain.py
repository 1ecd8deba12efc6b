"""``lakefront explain``: plans without a server, a database or anything left behind."""

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.server.forked import lakefront
from tests.server.test_cli import fails_plainly

PAGE = """query Page($n: Int) { mine: permits(first: $n) { totalCount nodes { permitId addresses { zipcode } } } }
query Both($n: Int) { permits(first: $n) { nodes { permitId } } me { subject } }
"""


def explain(tmp_path: Path, text: str, *options: str, **environment: Any) -> CompletedProcess[str]:
    """Run the command on a document, and see that it leaves nothing behind."""
    file = tmp_path / "page.graphql"
    file.write_text(text)
    data = tmp_path / "data"
    done = lakefront("explain", str(file), *options, LAKEFRONT_DATA=str(data), **environment)
    assert not data.exists()
    return done


def test_all_of_it_in_sql(tmp_path: Path) -> None:
    done = explain(tmp_path, PAGE, "--operation", "Page", "--variables", '{"n": 50}')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("query, tier 1: one statement of PostgreSQL makes the whole answer\n")
    assert "cost         501 of at most 200,000; most of it at mine.nodes.addresses\n" in done.stdout
    assert "formula      101 + 8 × $n\n" in done.stdout  # noqa: RUF001 - the sign of a product
    assert "permissions  permits:read\n" in done.stdout
    assert "resolvers" not in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["mine.nodes.addresses", "1", "150", "300"] in lines
    assert ["mine.totalCount", "100", "1", "100"] in lines
    assert "\nSELECT CASE WHEN (set_config(" in done.stdout
    assert "lakefront.permit_addresses" in done.stdout
    assert done.stdout.endswith("-- $1 = 'lakefront.tenant'\n-- $2 = 'city'\n-- $3 = 'city'\n")


def test_what_is_left_to_resolvers_says_why(tmp_path: Path) -> None:
    done = explain(tmp_path, PAGE, "--operation", "Both", "--role", "reader")
    assert done.stdout.startswith("query, tier 2: ")
    assert "resolvers    me: it is resolved in Python\n" in done.stdout
    assert "lakefront.permits" in done.stdout
    refused = explain(tmp_path, PAGE, "--operation", "Page", "--variables", '{"n": 5000}')
    assert refused.stdout.startswith("query, tier 3: resolvers make the answer\n")
    assert "resolvers    mine: its arguments are refused: " in refused.stdout
    assert "SELECT" not in refused.stdout
    fails_plainly(refused, "The answer would be an error: The argument is not valid at first: Ask for 0 to 1000 rows")
    mutation = explain(tmp_path, 'mutation { revokeApiKey(keyId: "1") { apiKey { name } } }')
    assert mutation.stdout.startswith("mutation, tier 3: ")
    assert "permissions  keys:manage\n" in mutation.stdout


def test_what_is_said_of_live_events(tmp_path: Path) -> None:
    event = "event { eventId permit { status } } permit { permitId addresses { zipcode } }"
    done = explain(tmp_path, f"subscription {{ permitEvents {{ {event} }} }}")
    assert done.stdout.startswith("subscription, tier 1: an event's own rows and statements of PostgreSQL make the ")
    assert done.stdout.count("\nSELECT CASE WHEN (set_config(") == 2
    assert "resolvers" not in done.stdout


def test_what_a_server_would_refuse_fails(tmp_path: Path) -> None:
    dear = "{ permits(first: 1000) { nodes { events(first: 1000) { nodes { eventId } } } } }"
    done = explain(tmp_path, dear)
    fails_plainly(done, "The operation costs up to 2,002,001, more than the 200,000 allowed")
    assert "cost         2,002,001 of at most 200,000; most of it at permits.nodes.events.nodes\n" in done.stdout
    assert (
        explain(
            tmp_path, dear, LAKEFRONT_GRAPHQL_MAX_COST="3000000", LAKEFRONT_RATE_LIMIT_COST="3000000/hour"
        ).returncode
        == 0
    )
    fails_plainly(explain(tmp_path, "{ permits { totalCount } }", "--role", "ingest"), "needs the scope 'permits:read'")
    invalid = explain(tmp_path, "{\n  permits { noSuchField } }")
    fails_plainly(invalid, "The operation is not valid.")
    assert "2:13: Cannot query field 'noSuchField'" in invalid.stderr
    fails_plainly(explain(tmp_path, PAGE), "several operations. Name one with --operation: Page, Both.")
    nothing = explain(tmp_path, PAGE, "--operation", "Paeg")
    fails_plainly(nothing, "no operation of the name given in --operation. There is Page, Both.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--role", "nobody"), "No checked-in role is called 'nobody'. Give one of admin,"),
        (("--variables", "{"), "--variables is no JSON"),
        (("--variables", "[1]"), "--variables is no object"),
    ],
)
def test_what_is_given_wrongly_is_told(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    fails_plainly(explain(tmp_path, "{ me { subject } }", *options), message)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    fails_plainly(lakefront("explain", str(tmp_path / "none.graphql")), "none.graphql cannot be read (No such file")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    fails_plainly(lakefront("explain", str(tmp_path / "binary")), "is no text in UTF-8")
    fails_plainly(lakefront("explain", "-"), "- holds no document. Write an operation into it")
