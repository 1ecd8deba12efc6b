"""The document of a request, put in its place before it is planned: the same for HTTP, event streams and WebSocket."""

from dataclasses import replace

from lakefront.actor import Actor
from lakefront.domain.documents import Documents
from lakefront.errors import LakefrontError
from lakefront.graphql.answers import Answer, OperationRequest, refused


async def with_document(
    documents: Documents, request: OperationRequest, actor: Actor, trace_id: str
) -> OperationRequest | Answer:
    """``request`` with the text of its document, which it may have named by its hash (L16); the answer is a refusal."""
    try:
        text = await documents.text(actor, request.document, request.sha256)
    except LakefrontError as error:
        return refused(error, trace_id)
    return request if text is request.document else replace(request, document=text)
