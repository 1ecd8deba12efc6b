"""Reading a GraphQL document: size first, then syntax, then our limits, and only then the specification's validation.

The order matters: validation is superlinear in places, so it must never see a document that the limits would refuse.
"""

from bisect import bisect_left
from functools import cached_property

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
from graphql.validation import specified_rules
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from lakefront.errors import BadRequest, OperationRefused
from lakefront.graphql.plan.limits import check_limits
from lakefront.settings import Settings

MAX_ERRORS = 5
"""Messages about one document: enough to correct it, too few to make a large answer of a small request."""

MERGE_BUDGET = 40_000
"""Units of work for finding fields that cannot be merged, which is quadratic. graphql-core allows 12 times that,
some 1.5 s of CPU for one document; eighty fragments with the same three fields on one object need 20,000."""

# The rule reads this each time and offers it for assignment; there is no argument for it.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MERGE_BUDGET

_ABORTED = "Validation aborted."

_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


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
        raise BadRequest("The request holds no GraphQL document. Send it as the string member 'query'.")
    # A character is at least a byte, so the long ones need no encoding to be refused.
    limit = settings.graphql_max_document
    if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
        raise OperationRefused(f"The document is longer than {limit} bytes. Ask for less at once.")
    document = _parse(text, settings)
    check_limits(document, settings)
    errors = validate(schema, document, _RULES, max_errors=MAX_ERRORS, hide_suggestions=True)
    if errors and errors[-1].message == _ABORTED:
        raise OperationRefused("The document is too complex to check: too many fields of one name in one place.")
    if errors:
        raise InvalidDocument(errors)
    return document


def _parse(text: str, settings: Settings) -> DocumentNode:
    tokens = settings.graphql_max_tokens
    try:
        return parse(_IndexedSource(text), max_lexical_tokens=tokens, max_comments=tokens)
    except GraphQLError as error:
        # Syntax errors hold their source and the frames of the parser: keep neither.
        raise InvalidDocument([error.with_traceback(None)]) from None


def select_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation called ``name``, or the only one. Raises ``BadRequest`` when that is not clear."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        if len(operations) == 1:
            return operations[0]
        raise BadRequest(
            "The document holds several operations. Name one with 'operationName'."
            if operations
            else "The document holds no operation. Add a query, mutation or subscription."
        )
    for operation in operations:
        if operation.name and operation.name.value == name:
            return operation
    raise BadRequest("The document holds no operation of the name given in 'operationName'.")
