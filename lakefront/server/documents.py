"""The document of a request, put in its place before it is planned: the same for HTTP, event streams and WebSocket.

And the check that a document must pass to be trusted: that of a request, so that what is trusted can be run.
"""

from dataclasses import replace

import strawberry
from graphql import GraphQLError, OperationDefinitionNode

from lakefront.actor import Actor
from lakefront.domain.documents import Documents
from lakefront.domain.documents.sync import Check
from lakefront.errors import BadRequest, LakefrontError, OperationRefused, ValidationError
from lakefront.graphql.answers import Answer, OperationRequest, refused
from lakefront.graphql.plan.document import InvalidDocument, read_document
from lakefront.settings import Settings


async def with_document(
    documents: Documents, request: OperationRequest, actor: Actor, trace_id: str
) -> OperationRequest | Answer:
    """``request`` with the text of its document, which it may have named by its hash (L16); the answer is a refusal."""
    try:
        text = await documents.text(actor, request.document, request.sha256)
    except LakefrontError as error:
        return refused(error, trace_id)
    return request if text is request.document else replace(request, document=text)


def checker(schema: strawberry.Schema, settings: Settings) -> Check:
    """The check of documents against ``schema`` and the limits of ``settings``."""

    def check(text: str) -> str:
        try:
            document = read_document(schema._schema, text, settings)  # noqa: SLF001 - it has no public name
        except InvalidDocument as invalid:
            raise ValidationError("; ".join(map(_placed, invalid.errors))) from None
        except (BadRequest, OperationRefused) as refusal:
            raise ValidationError(refusal.message) from None
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        if not operations:
            raise ValidationError("There is no operation in it. Put fragments beside the operations that use them.")
        return ", ".join(node.name.value if node.name else f"({node.operation.value})" for node in operations)

    return check


def _placed(error: GraphQLError) -> str:
    place = "".join(f"{at.line}:{at.column}: " for at in (error.locations or ())[:1])
    return f"{place}{error.message}"
