"""``lakefront load …``: published files, through the public HTTP door."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from lakefront.server.cli.common import Data, fail, printable, settings_with

if TYPE_CHECKING:
    from lakefront.server.load.client import Sent
    from lakefront.server.load.permits import Event, Problem, Row

PROBLEMS_SHOWN = 50
ONE_DAY = 86_400

app = typer.Typer(name="load", help="Load a published file into a running server.", no_args_is_help=True)


@app.callback()
def load() -> None:
    """Keep `permits` a command of its own."""


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
    from lakefront.server.load.client import Sent
    from lakefront.server.load.permits import read_rows

    try:
        with file.open("rb") as raw:
            bearer = token.strip() if token else _own_token(url, data)
            read, sent = _Read(), Sent()
            lines = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="")
            try:
                _send(read.events(read_rows(lines)), sent, url=url, token=bearer, batch=batch, raw=raw)
            finally:
                if read.rows:
                    _summary(read, sent)
    except OSError as error:
        raise fail(f"{file} cannot be read ({error.strerror}). Check the path.") from error
    if not sent.accepted + sent.duplicates:
        raise fail(f"{file} holds no row that can be loaded.")


def _own_token(url: str, data: Path | None) -> str:
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
    return mint(key, settings, "cli:load", "ingest", CITY, ONE_DAY)


def _send(events: Iterator["Event"], sent: "Sent", *, url: str, token: str, batch: int, raw: BinaryIO) -> None:
    """Send the events of the open file ``raw``, with a progress bar on a terminal and a few lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from lakefront.domain.permits import STREAM
    from lakefront.server.load.client import Sender, batches

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    told: set[str] = set()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("permits", total=os.fstat(raw.fileno()).st_size or None, said="")

        def waiting(reason: str, seconds: float) -> None:
            bar.update(task, said=f"{printable(reason)}; trying again in {seconds:.1f} s")
            if bar.disable and reason not in told:
                told.add(reason)
                typer.echo(f"Waiting: {printable(reason)}.", err=True)

        with Sender(url, token, stream=STREAM, waiting=waiting) as sender:
            for group in batches(events, batch):
                sent.count(sender.send(group))
                bar.update(task, completed=raw.tell() if raw.seekable() else 0, said=f"{sent.events:,} events")


def _summary(read: _Read, sent: "Sent") -> None:
    for problem in read.problems:
        typer.echo(f"Skipped: {printable(problem)}", err=True)
    if read.more:
        typer.echo(f"Skipped: {read.more:,} problems more.", err=True)
    for reason in sent.reasons:
        typer.echo(f"Rejected: {printable(reason)}", err=True)
    typer.echo(f"rows        {read.rows:>10,}")
    typer.echo(f"  skipped   {read.skipped:>10,}")
    typer.echo(f"events sent {sent.events:>10,}")
    typer.echo(f"  accepted  {sent.accepted:>10,}")
    typer.echo(f"  duplicates{sent.duplicates:>10,}")
    typer.echo(f"  rejected  {sent.rejected:>10,}")
