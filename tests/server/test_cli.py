"""The command line as people use it: a real process, a real server, and a plain line for whatever goes wrong."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from lakefront import __version__
from lakefront.db.database import Database
from lakefront.domain.rights import DEFAULT
from lakefront.server.cli.token import Role
from tests.server.forked import lakefront as sooner

FIXTURE = Path(__file__).parent.parent / "fixtures" / "permits.csv"
PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "sf_building_permits.csv"

OURS = re.compile(r"LAKEFRONT_|DATABASE_URL$|REDIS_URL$|OBJECT_STORE_URL$")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not OURS.match(name)}


def lakefront(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lakefront", *map(str, arguments)],
        env={**ENVIRONMENT, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        check=False,
    )


def fails_plainly(done: subprocess.CompletedProcess[str], message: str, code: int = 1) -> None:
    assert done.returncode == code, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@dataclass(frozen=True)
class Serving:
    """A server that runs, its data folder, and an administrator's token."""

    url: str
    data: Path
    token: str

    def ask(self, query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.post(f"{self.url}/graphql", json={"query": query}, headers=headers, trust_env=False)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    data = tmp_path_factory.mktemp("cli") / "data"
    output = data.parent / "output"
    with output.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "lakefront", "serve", "--port", "0", "--no-demo", "--data", str(data)],
            env={**ENVIRONMENT, "LAKEFRONT_RATE_LIMITS": "off"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        url = _ready(server, output)
        yield Serving(url, data, lakefront("token", "--data", data).stdout.splitlines()[-1])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _ready(server: "subprocess.Popen[bytes]", output: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"http://localhost:(\d+)/", output.read_text())
        try:
            if found and httpx.get(f"http://127.0.0.1:{found[1]}/ready", trust_env=False).status_code == 200:
                return f"http://127.0.0.1:{found[1]}"
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"no server: {output.read_text()}")


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The summary of a load."""
    assert done.returncode == 0, done.stderr
    return {
        name.strip(): int(count.replace(",", "")) for name, count in re.findall(r"^(.+?) +([\d,]+)$", done.stdout, re.M)
    }


def test_help_is_quick_and_names_every_command() -> None:
    lakefront("--help")  # compiles
    since = time.monotonic()
    done = lakefront("--help")
    assert time.monotonic() - since < 10, "the goal is 0.3 s; this machine may be busy"
    commands = "serve migrate token ingest-token tenant load rebuild verify schema settings doctor"
    for command in commands.split():
        assert command in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, lakefront.server.cli as _; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "asyncpg",
        "sqlalchemy",
        "strawberry",
        "graphql",
        "pydantic_settings",
        "httpx",
        "redis",
        "joserfc",
        "uvicorn",
    }
    assert not heavy & set(done.stdout.split())


def test_version() -> None:
    assert lakefront("--version").stdout == f"lakefront {__version__}\n"


def test_roles_are_those_that_actors_have() -> None:
    assert set(Role) == DEFAULT.roles


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("bla",), 2, "No such command"),
        (("serve", "--port", "99999"), 2, "--port"),
        (("token", "--role", "king"), 2, "--role"),
        (("token", "--ttl", "0"), 2, "--ttl"),
        (("ingest-token", "rotate", "--overlap", "-1"), 2, "--overlap"),
        (
            ("load", "permits", "nothing.csv", "--token", "x"),
            1,
            "nothing.csv cannot be read (No such file or directory)",
        ),
        (("load", "permits", ".", "--token", "x"), 1, "cannot be read (Is a directory)"),
        (("load", "permits", FIXTURE), 1, "A token is needed"),
        (("load", "permits", FIXTURE, "--url", "https://example.org"), 1, "A token is needed"),
        (("load", "permits", FIXTURE, "--url", "http://[x"), 1, "is not a URL"),
        (("load", "permits", FIXTURE, "--token", "x", "--url", "ftp://x"), 1, "is not the URL of a server"),
        (("load", "permits", __file__, "--token", "x"), 1, "The header lacks Permit Number"),
        (("schema", "--out", "/nowhere/schema.graphql"), 1, "cannot be written"),
        (("migrate", "--data", "/dev/null/x"), 1, "/dev/null"),
    ],
)
def test_bad_use_gets_a_plain_line(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    fails_plainly(sooner(*arguments, cwd=tmp_path), message, code)
    assert not list(tmp_path.iterdir()), "and leaves nothing behind"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("LAKEFRONT_PORT", "many", "LAKEFRONT_PORT (or its option): Input should be a valid integer"),
        ("LAKEFRONT_STREAMS", "{", "LAKEFRONT_STREAMS is not JSON. docs/settings.md tells what it holds"),
        ("DATABASE_URL", "rubbish", "PostgreSQL says: invalid DSN"),
        ("DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x", "Connect call failed"),
    ],
)
def test_a_bad_setting_gets_a_plain_line(variable: str, value: str, message: str, tmp_path: Path) -> None:
    done = sooner("migrate", cwd=tmp_path, **{variable: value})
    fails_plainly(done, message)
    assert "secret" not in done.stderr


def test_migrate_starts_the_embedded_database_and_stops_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for _ in range(2):
        done = lakefront("migrate", "--data", data)
        assert done.stdout == "The database is up to date.\n", done.stderr
    assert not (data / "postgres" / "run").exists()
    report = lakefront("doctor", "--data", data)
    assert report.returncode == 0, report.stdout
    assert "up to date" in report.stdout


def test_migrate_works_on_an_outside_database(dsn: str, tmp_path: Path) -> None:
    done = sooner("migrate", cwd=tmp_path, DATABASE_URL=dsn)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir()), "nothing embedded"


def test_a_token_for_servers_of_an_outside_database_is_made_known_to_them(dsn: str, tmp_path: Path) -> None:
    done = sooner("token", "--role", "reader", "--data", tmp_path / "data", DATABASE_URL=dsn)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].count(".") == 2
    listed = sooner("ingest-token", "rotate", "--data", tmp_path / "data", DATABASE_URL=dsn)
    assert listed.stdout.startswith("city_ingest_")


async def test_a_token_for_a_tenant_that_there_is(dsn: str, provisioner: Database, tmp_path: Path) -> None:
    make = ("token", "--tenant", "acme_corp", "--data", tmp_path / "data")
    fails_plainly(sooner(*make, DATABASE_URL=dsn), "There is no tenant 'acme_corp' here. Onboard it first")
    async with provisioner.transaction("-") as transaction:
        await transaction.execute(
            "INSERT INTO tenants.tenant_profiles (tenant_id, company_name, admin_email, status) "
            "VALUES ('acme_corp', 'Acme', 'admin@acme.example', 'active')"
        )
    done = sooner(*make, DATABASE_URL=dsn)
    assert done.returncode == 0, done.stderr
    assert "role admin of acme_corp" in done.stderr


def test_doctor_on_an_empty_folder_makes_nothing(tmp_path: Path) -> None:
    done = lakefront("doctor", "--data", tmp_path / "data", LAKEFRONT_PORT="0")
    assert done.returncode == 0, done.stdout
    assert "not made yet" in done.stdout
    assert not (tmp_path / "data").exists()


def test_doctor_tells_what_would_keep_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    database, redis = "postgresql://me:secret@127.0.0.1:1/x", "redis://:secret@127.0.0.1:1"
    done = sooner("doctor", "--data", tmp_path / "data", DATABASE_URL=database, REDIS_URL=redis)
    assert done.returncode == 1
    for advice in ("data folder: choose a folder", "PostgreSQL: start it, or correct DATABASE_URL", "Redis: start it"):
        assert advice in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_doctor_beside_a_server(serving: Serving) -> None:
    (serving.data / "keys" / "signing.pem").chmod(0o644)
    port = serving.url.rpartition(":")[2]
    done = sooner("doctor", "--data", serving.data, LAKEFRONT_PORT=port)
    (serving.data / "keys" / "signing.pem").chmod(0o600)
    assert done.returncode == 0, done.stdout
    assert "in use, by the server of this data folder" in done.stdout
    assert "open to other users (0644)" in done.stdout
    assert "signing key: run `chmod 600" in done.stdout
    [socket] = re.findall(r"PostgreSQL: run `psql 'postgresql://.*host=([^&]*)&port=\d+'` for SQL", done.stdout)
    assert (Path(unquote(socket)) / ".s.PGSQL.5432").exists()


def test_loading_twice_adds_only_duplicates(serving: Serving) -> None:
    first = lakefront("load", "permits", FIXTURE, "--url", serving.url, "--data", serving.data, "--batch", "7")
    assert counts(first) == {
        "rows": 20, "skipped": 10, "events sent": 23, "accepted": 21, "duplicates": 2, "rejected": 0
    }  # fmt: skip
    assert "Skipped: line 12, Filed Date: '13/45/2022 09:00:00 AM' is a date that no calendar has" in first.stderr
    again = sooner("load", "permits", FIXTURE, "--url", serving.url, LAKEFRONT_TOKEN=serving.token)
    assert counts(again) == {
        "rows": 20, "skipped": 10, "events sent": 23, "accepted": 0, "duplicates": 23, "rejected": 0
    }  # fmt: skip


def test_published_service_requests_are_loaded_and_bad_rows_told(serving: Serving, tmp_path: Path) -> None:
    head = "Unique Key,Created Date,Closed Date,Agency,Complaint Type,Status,Borough"
    rows = [f"{n},03/01/2011 11:02:37 AM,,NYPD,Noise,Open,BRONX" for n in range(5)]
    (tmp_path / "311.csv").write_text("\n".join([head, *rows, "9,yesterday,,NYPD,Noise,Open,BRONX", ""]))
    load = ("load", "service-requests", tmp_path / "311.csv", "--url", serving.url, "--data", serving.data)
    for accepted in (5, 0):
        done = sooner(*load, "--batch", "2")
        assert counts(done) == {
            "rows": 6, "skipped": 1, "rows sent": 5, "accepted": accepted, "duplicates": 5 - accepted, "rejected": 0
        }  # fmt: skip
        assert "Skipped: line 7, Created Date: 'yesterday' is not a date like" in done.stderr
    reader = sooner("token", "--role", "reader", "--data", serving.data).stdout.splitlines()[-1]
    fails_plainly(sooner(*load[:-2], "--token", reader), "Make one with `lakefront token --role staff`.")


def test_a_file_without_a_valid_row_is_a_failure(serving: Serving, tmp_path: Path) -> None:
    lines = FIXTURE.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "bad.csv").write_text(lines[0] + lines[11], encoding="utf-8")
    done = sooner("load", "permits", tmp_path / "bad.csv", "--url", serving.url, "--token", serving.token)
    fails_plainly(done, "holds no row that can be loaded")
    (tmp_path / "later.csv").write_text(lines[0] + lines[1].replace("/2022", "/2222"), encoding="utf-8")
    done = sooner("load", "permits", tmp_path / "later.csv", "--url", serving.url, "--token", serving.token)
    fails_plainly(done, "too far in the future")


def test_a_token_that_may_not_write_stops_the_load(serving: Serving) -> None:
    reader = sooner("token", "--role", "reader", "--data", serving.data).stdout.splitlines()[-1]
    load = ("load", "permits", FIXTURE, "--url", serving.url, "--token")
    fails_plainly(sooner(*load, reader), "The token may not write events (403 Forbidden")
    fails_plainly(sooner(*load, "made.up.token"), "The server refuses the token (401 Unauthorized")


def test_ingest_tokens_rotate_while_serving(serving: Serving) -> None:
    rotate = ("ingest-token", "rotate", "--data", serving.data, "--overlap", "600")
    old, new = (run(*rotate).stdout.splitlines()[-1] for run in (lakefront, sooner))
    listed = sooner("ingest-token", "list", "--data", serving.data).stdout
    assert len(listed.splitlines()) == 2
    assert old not in listed
    for token in (old, new):
        done = sooner("load", "permits", FIXTURE, "--url", serving.url, "--token", token)
        assert counts(done)["rejected"] == 0


def test_permits_are_rebuilt_while_serving(serving: Serving) -> None:
    sooner("load", "permits", FIXTURE, "--url", serving.url, "--data", serving.data)
    done = lakefront("rebuild", "permits", "--data", serving.data)
    assert re.fullmatch(r"The permits are rebuilt, from [\d,]+ events\.\n", done.stdout), done.stderr
    query = '{ permit(permitId: "900000000018") { status statusAt addresses { addressId } } }'
    assert serving.ask(query) == {
        "permit": {
            "status": "complete",
            "statusAt": "2022-07-02T16:00:00+00:00",
            "addresses": [{"addressId": "100019"}],
        }
    }


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the city's published file is not at ../shared/data")
def test_the_published_file_becomes_the_permits_that_it_describes(serving: Serving) -> None:
    done = sooner("load", "permits", PUBLISHED, "--url", serving.url, "--data", serving.data)
    found = counts(done)
    assert (found["rows"], found["skipped"], found["rejected"]) == (5_000, 0, 0)
    with PUBLISHED.open(encoding="utf-8-sig", newline="") as file:
        published = {row["Permit Number"]: row["Current Status"] for row in csv.DictReader(file)}
    everything = 'filter: {permitId: {startsWith: "9000"}}'
    query = "{ all: permitStats(groupBy: [STATUS]) { groups { key { status } count } } "
    query += f"ours: permitStats({everything}, groupBy: [STATUS]) {{ groups {{ key {{ status }} count }} }} }}"
    expected = Counter(published.values())
    deadline = time.monotonic() + 60
    while (loaded := _statuses(serving.ask(query))) != expected and time.monotonic() < deadline:
        time.sleep(0.2)  # the projection follows the log
    assert loaded == expected


def _statuses(data: Any) -> Counter[str]:
    """Permits by status, without those of the fixture."""
    found = {
        name: Counter({group["key"]["status"]: group["count"] for group in stats["groups"]})
        for name, stats in data.items()
    }
    return found["all"] - found["ours"]


def test_schema_is_printed() -> None:
    done = lakefront("schema")
    assert "type Query" in done.stdout, done.stderr
    assert "permitEvents" in done.stdout


def test_settings_are_printed() -> None:
    assert "| `LAKEFRONT_PORT` | `8000` |" in lakefront("settings").stdout
