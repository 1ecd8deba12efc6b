"""``lakefront explain``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lakefront.server.cli.common import Tenant, fail, printable, settings_with

if TYPE_CHECKING:
    from lakefront.actor import Actor
    from lakefront.graphql.answers import OperationRequest
    from lakefront.graphql.plan.explain import Explanation
    from lakefront.settings import Settings

TIERS: Final = {
    1: "one statement of PostgreSQL makes the whole answer",
    2: "one statement of PostgreSQL makes a part of the answer, resolvers the rest",
    3: "resolvers make the answer",
}
LIVE: Final = {
    1: "an event's own rows and statements of PostgreSQL make the whole answer",
    2: "statements of PostgreSQL make a part of the answer, resolvers the rest",
    3: TIERS[3],
}

File = Annotated[Path, typer.Argument(metavar="FILE.graphql", help="The document; - reads it from the standard input.")]


def explain(
    file: File,
    *,
    variables: Annotated[str, typer.Option("--variables", metavar="JSON", help="The variables, as an object.")] = "{}",
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="NAME", help="Which operation, where there are several.")
    ] = None,
    role: Annotated[str, typer.Option("--role", metavar="NAME", help="Whose rights: a checked-in role.")] = "admin",
    tenant: Tenant = "city",
) -> None:
    """Plan an operation without running it: its tier, cost, permissions and SQL, and what is left to resolvers.

    Needs no server and no database. Exit code 1 if a server would refuse the operation, or an argument in it.
    """
    settings = settings_with()
    from lakefront.graphql.answers import OperationRequest
    from lakefront.graphql.plan.cost import check_cost

    text = _text(file)
    if not text.strip():
        raise fail(f"{file} holds no document. Write an operation into it: {{ me {{ subject }} }}")
    asked = OperationRequest(text, operation, _object(variables))
    found = _explained(asked, _actor(role, tenant), settings)
    _show(found, settings.graphql_max_cost)
    check_cost(found.estimate, settings)
    if found.mistake is not None:
        raise fail(f"The answer would be an error: {printable(found.mistake)}")


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise fail(f"{file} cannot be read ({error.strerror}). Give a file that holds a GraphQL document.") from error
    except UnicodeDecodeError as wrong:
        raise fail(f"{file} is no text in UTF-8. Give a file that holds a GraphQL document.") from wrong


def _object(text: str) -> dict[str, Any]:
    import orjson

    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise fail(f"--variables is no JSON: {printable(wrong)}. Write an object: '{{\"first\": 5}}'.") from wrong
    if not isinstance(found, dict):
        raise fail("--variables is no object. Write the variables by their names: '{\"first\": 5}'.")
    return found


def _actor(role: str, tenant: str) -> "Actor":
    from lakefront.actor import Actor
    from lakefront.domain.rights import DEFAULT

    if role not in DEFAULT.roles:
        known = ", ".join(DEFAULT.roles_of(tenant))
        raise fail(f"No checked-in role is called '{printable(role)}'. Give one of {known}.")
    granted = DEFAULT.granted([role], tenant)
    return Actor("explain", tenant, granted.scopes, own=granted.own, roles=frozenset({role}))


def _explained(request: "OperationRequest", actor: "Actor", settings: "Settings") -> "Explanation":
    from lakefront.errors import BadRequest
    from lakefront.graphql.declare import permission
    from lakefront.graphql.plan.document import InvalidDocument
    from lakefront.graphql.plan.explain import explain as explain_plan
    from lakefront.graphql.plan.planner import Planner
    from lakefront.graphql.plan.statements import Statements
    from lakefront.graphql.schema import build_schema
    from lakefront.settings import MIB

    try:
        planned = Planner(build_schema(), settings, permission).plan(request, actor)
    except InvalidDocument as invalid:
        for error in invalid.errors:
            place = "".join(f"{at.line}:{at.column}: " for at in (error.locations or ())[:1])
            typer.echo(f"{place}{printable(error.message)}", err=True)
        raise fail("The operation is not valid. Correct the document, or its variables.") from invalid
    except BadRequest as unclear:
        raise fail(printable(unclear.message.replace("'operationName'", "--operation"))) from unclear
    return explain_plan(planned, Statements(MIB), actor)


def _show(found: "Explanation", limit: int) -> None:
    from rich.console import Console
    from rich.table import Table

    estimate = found.estimate
    tiers = LIVE if found.kind == "subscription" else TIERS
    typer.echo(f"{found.kind}, tier {found.tier}: {tiers[found.tier]}")
    typer.echo(f"cost         {estimate.total:,} of at most {limit:,}; most of it at {estimate.path}")
    typer.echo(f"formula      {estimate.formula}")
    typer.echo(f"permissions  {', '.join(found.permissions) or 'none'}")
    for field in found.fields:
        if field.reason is not None:
            typer.echo(f"resolvers    {field.path or field.cost.path}: {printable(field.reason)}")
    table = Table("field", box=None, pad_edge=False, header_style="")
    for name in ("weight", "times", "cost with all in it"):
        table.add_column(name, justify="right")
    for cost in estimate.fields(depth=sys.maxsize):
        table.add_row(cost.path, f"{cost.weight:,}", f"{cost.times:,}", f"{cost.total:,}")
    typer.echo()
    Console(soft_wrap=True, highlight=False, markup=False).print(table)
    if found.sql is not None:
        typer.echo(f"\n{found.sql}")
