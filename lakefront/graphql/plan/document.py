"""Reading a GraphQL document: size first, then syntax, then our limits, and only then the specification's validation.

The order matters: validation is superlinear in places, so it must never see a document that the limits would refuse.
"""

from bisect import bisect_left
from functools import cached_property
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Source,
    SourceLocation,
    parse,
    validate,
)
from graphql.validation import (
    DeferStreamDirectiveLabel,
    DeferStreamDirectiveOnRootField,
    DeferStreamDirectiveOnValidOperationsRule,
    KnownDirectivesRule,
    MaxIntrospectionDepthRule,
    NoUndefinedVariablesRule,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    OverlappingFieldsCanBeMergedRule,
    StreamDirectiveOnListField,
    UniqueDirectivesPerLocationRule,
    VariablesInAllowedPositionRule,
    specified_rules,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from lakefront.errors import BadRequest, OperationRefused
from lakefront.graphql.plan.limits import check_limits, check_text
from lakefront.graphql.plan.merging import FieldsMerge
from lakefront.graphql.plan.usage import UsesAreDefined
from lakefront.settings import Settings

MAX_ERRORS = 5
"""Messages about one document: enough to correct it, too few to make a large answer of a small request."""

MAX_NAME: Final = 60
"""Characters of an operation's name that are shown."""

MANY_TOKENS: Final = 1_000
"""From here on one message must do: some quote large parts of the document."""

_ABORTED = "Validation aborted."

_REPLACED: Final = {
    NoUndefinedVariablesRule,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    VariablesInAllowedPositionRule,
    OverlappingFieldsCanBeMergedRule,
    MaxIntrospectionDepthRule,  # check_limits allows less
}
"""Rules of graphql-core that cost too much; ours say the same."""

_ABOUT_DIRECTIVES: Final = {
    KnownDirectivesRule,
    UniqueDirectivesPerLocationRule,
    DeferStreamDirectiveLabel,
    DeferStreamDirectiveOnRootField,
    DeferStreamDirectiveOnValidOperationsRule,
    StreamDirectiveOnListField,
}
"""A third of the time of validation; without any ``@`` there is nothing for them to find."""

_RULES: Final[tuple[Any, ...]] = (
    *(rule for rule in specified_rules if rule not in _REPLACED | _ABOUT_DIRECTIVES),
    UsesAreDefined,
    FieldsMerge,
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)
_WITH_DIRECTIVES: Final = (*(rule for rule in specified_rules if rule in _ABOUT_DIRECTIVES), *_RULES)


class InvalidDocument(Exception):
    """The document does not follow the specification; ``errors`` say where, at most ``MAX_ERRORS`` and one."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        self.errors = errors
        super().__init__(f"{len(errors)} errors")


class _IndexedSource(Source):
    """A source that finds lines by bisection: every error asks, and graphql-core scans the whole text each time."""

    @cached_property
    def _line_ends(self) -> list[int]:
        return [index for index, character in enumerate(self.body) if character == "\n"]

    def get_location(self, position: int) -> SourceLocation:
        """Line and column of ``position``, both from 1; a line ends at a line feed."""
        line = bisect_left(self._line_ends, position)
        start = self._line_ends[line - 1] + 1 if line else 0
        return SourceLocation(line + 1, position + 1 - start)


def read_document(schema: GraphQLSchema, text: str, settings: Settings) -> DocumentNode:
    """The parsed, limited and valid document; its CPU is bounded by ``settings.graphql_max_*``.

    Raises ``InvalidDocument`` (syntax, validation), ``OperationRefused`` (a limit), ``BadRequest`` (nothing there).
    """
    if not text or text.isspace():
        raise BadRequest("The request holds no GraphQL document. Send it as 'query'.")
    counts = check_text(text, settings)
    document = _parse(text)
    check_limits(document, settings)
    rules = _WITH_DIRECTIVES if counts.directives else _RULES
    most = MAX_ERRORS if counts.tokens <= MANY_TOKENS else 1
    errors = validate(schema, document, rules, max_errors=most, hide_suggestions=True)
    if errors and errors[-1].message == _ABORTED:
        raise OperationRefused("The document is too complex to check. Ask for less at once.")
    if errors:
        # Who keeps what was refused keeps messages and places, not the parsed document.
        raise InvalidDocument(
            [GraphQLError(each.message, source=each.source, positions=each.positions) for each in errors]
        )
    return document


def _parse(text: str) -> DocumentNode:
    try:
        return parse(_IndexedSource(text))
    except GraphQLError as error:
        # Syntax errors hold their source and the frames of the parser: keep neither.
        raise InvalidDocument([error.with_traceback(None)]) from None


def select_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation called ``name``, or the only one. Raises ``BadRequest`` when that is not clear."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if not operations:
        raise BadRequest("The document holds no operation. Add a query, mutation or subscription.")
    if name is None and len(operations) == 1:
        return operations[0]
    names = [operation.name.value for operation in operations if operation.name]
    if name in names:
        return operations[names.index(name)]
    there = ", ".join(each[:MAX_NAME] for each in names)
    if name is None:
        raise BadRequest(f"The document holds several operations. Name one with 'operationName': {there}.")
    raise BadRequest(
        f"The document holds no operation of the name given in 'operationName'. There is {there}."
        if names
        else "The document holds no operation of the name given in 'operationName'. Its own has none: leave it out."
    )
