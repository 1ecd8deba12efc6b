"""Pictures of maps (C8), from whoever draws them for the tenant; who looks at them never sees its token."""

from lakefront.actor import PLACES_READ, Actor
from lakefront.adapters.maps import Tile
from lakefront.adapters.providers.mapbox import Mapbox
from lakefront.domain import integrations
from lakefront.domain.integrations.trial import Calling


async def tile(
    parts: Calling,
    actor: Actor,
    style: str,
    zoom: int,
    column: int,
    row: int,
    *,
    dense: bool = False,
    etag: str = "",
    trace_id: str = "",
) -> Tile | None:
    """A tile as ``Mapbox.tile`` gives it, None where it is still the one with ``etag``.

    Needs the scope places:read. Raises ``ValidationError`` for one that cannot be, ``NotConfigured``, what a call
    raises, ``Forbidden``.
    """
    actor.require(PLACES_READ)
    mapbox = await integrations.adapter(parts, Mapbox, actor.tenant)
    return await mapbox.tile(style, zoom, column, row, dense=dense, etag=etag, trace_id=trace_id)
