"""``lakefront load …``: published files, through the public HTTP door."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from lakefront.server.cli.common import Data, fail, printable, settings_with

if TYPE_CHECKING:
    from lakefront.server.load.client import Answer, Sent
    from lakefront.server.load.permits import Event
    from lakefront.server.load.table import Problem, Row

PROBLEMS_SHOWN = 50
ONE_DAY = 86_400

app = typer.Typer(name="load", help="Load a published file into a running server.", no_args_is_help=True)


@app.callback()
def load() -> None:
    """One command for each kind of file."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a file's rows go: the door's ``path``, a ``role`` that may write there, what is sent, how it answers."""

    title: str
    path: str
    role: str
    what: str
    answer: "Callable[[bytes], Answer] | None" = None


@dataclass(slots=True)
class _Read:
    """What was read of the file so far."""

    rows: int = 0
    skipped: int = 0
    problems: list["Problem"] = field(default_factory=list)
    more: int = 0

    def events(self, rows: Iterable["Row"]) -> Iterator["Event"]:
        """Yield the events of the rows, counting both those and the skipped ones."""
        for row in rows:
            self.rows += 1
            self.skipped += bool(row.problems)
            room = max(0, PROBLEMS_SHOWN - len(self.problems))
            self.problems += row.problems[:room]
            self.more += len(row.problems[room:])
            yield from row.events


# The token is the one value that a command takes from the environment beside Settings: it is the client's secret, not a
# setting of a server, and on the command line every user of the machine could read it.
Token = Annotated[
    str | None,
    typer.Option(
        envvar="LAKEFRONT_TOKEN",
        show_envvar=True,
        help="Bearer token; made with --data's key for a server on this machine.",
    ),
]


@app.command()
def permits(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV of DataSF's data set i98e-djp9, all columns.")],
    *,
    url: Annotated[str, typer.Option(help="The server's address.")] = "http://127.0.0.1:8000",
    token: Token = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Events in a request.")] = 1000,
    data: Data = None,
) -> None:
    """Load San Francisco's building permits.

    Rows that cannot be read are skipped and shown at the end. Loading a file again adds nothing; loading a newer one
    adds what is new. Exit code 0 when at least one row was loaded or was there already; 1 when the file holds no valid
    row or cannot be read, or the server does not take the events.
    """
    from lakefront.domain.permits import STREAM
    from lakefront.server.load.permits import read_rows

    _load(file, read_rows, _Target("permits", STREAM, "ingest", "events"), url=url, token=token, batch=batch, data=data)


@app.command("service-requests")
def service_requests(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV of NYC Open Data's data set erm2-nwe9.")],
    *,
    url: Annotated[str, typer.Option(help="The server's address.")] = "http://127.0.0.1:8000",
    token: Token = None,
    batch: Annotated[int, typer.Option(min=1, max=5_000, help="Rows in a request.")] = 500,
    data: Data = None,
) -> None:
    """Load New York's 311 service requests.

    Rows that cannot be read are skipped and shown at the end. Loading a file again changes nothing; loading a newer one
    changes what is new, and an older one nothing. Exit code 0 when at least one row was loaded or was there already; 1
    when the file holds no valid row or cannot be read, or the server does not take the rows.
    """
    from lakefront.server.load.service_requests import PATH, read_answer, read_rows

    target = _Target("service requests", PATH, "staff", "rows", read_answer)
    _load(file, read_rows, target, url=url, token=token, batch=batch, data=data)


def _load(
    file: Path,
    read_rows: "Callable[[Iterable[str]], Iterator[Row]]",
    target: _Target,
    *,
    url: str,
    token: str | None,
    batch: int,
    data: Path | None,
) -> None:
    """Send the file's rows to the target; raises ``typer.Exit`` where nothing of it could be loaded."""
    from lakefront.server.load.client import Sent

    try:
        with file.open("rb") as raw:
            bearer = token.strip() if token else _own_token(url, data, target.role)
            read, sent = _Read(), Sent()
            lines = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="")
            try:
                _send(read.events(read_rows(lines)), sent, target, url=url, token=bearer, batch=batch, raw=raw)
            finally:
                if read.rows:
                    _summary(read, sent, target.what)
    except OSError as error:
        raise fail(f"{file} cannot be read ({error.strerror}). Check the path.") from error
    if not sent.accepted + sent.duplicates:
        raise fail(f"{file} holds no row that can be loaded.")


def _own_token(url: str, data: Path | None, role: str) -> str:
    """Return a token made with the key of the server on the data folder; only for a server on this machine."""
    from lakefront.actor import CITY
    from lakefront.server.keys import SigningKey, mint
    from lakefront.server.load.client import LOOPBACK, host_of

    settings = settings_with(data=data)
    if host_of(url) not in LOOPBACK or not settings.data.is_dir():
        raise fail(
            "A token is needed. Give --token or LAKEFRONT_TOKEN, or --data with the folder of a server of this machine."
        )
    key = SigningKey.load_or_create(settings.data)
    return mint(key, settings, "cli:load", role, CITY, ONE_DAY)


def _send(
    events: Iterator["Event"], sent: "Sent", target: _Target, *, url: str, token: str, batch: int, raw: BinaryIO
) -> None:
    """Send the events of the open file ``raw``, with a progress bar on a terminal and a few lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from lakefront.server.load.client import Sender, batches, read_answer

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    told: set[str] = set()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(target.title, total=os.fstat(raw.fileno()).st_size or None, said="")

        def waiting(reason: str, seconds: float) -> None:
            bar.update(task, said=f"{printable(reason)}; trying again in {seconds:.1f} s")
            if bar.disable and reason not in told:
                told.add(reason)
                typer.echo(f"Waiting: {printable(reason)}.", err=True)

        answer = target.answer or read_answer
        with Sender(url, token, stream=target.path, role=target.role, read=answer, waiting=waiting) as sender:
            for group in batches(events, batch):
                sent.count(sender.send(group))
                bar.update(task, completed=raw.tell() if raw.seekable() else 0, said=f"{sent.events:,} {target.what}")


def _summary(read: _Read, sent: "Sent", what: str) -> None:
    for problem in read.problems:
        typer.echo(f"Skipped: {printable(problem)}", err=True)
    if read.more:
        typer.echo(f"Skipped: {read.more:,} problems more.", err=True)
    for reason in sent.reasons:
        typer.echo(f"Rejected: {printable(reason)}", err=True)
    typer.echo(f"rows        {read.rows:>10,}")
    typer.echo(f"  skipped   {read.skipped:>10,}")
    typer.echo(f"{what + ' sent':<12}{sent.events:>10,}")
    typer.echo(f"  accepted  {sent.accepted:>10,}")
    typer.echo(f"  duplicates{sent.duplicates:>10,}")
    typer.echo(f"  rejected  {sent.rejected:>10,}")
