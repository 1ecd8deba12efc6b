"""Pictures of maps, whoever draws them."""

from lakefront.adapters.dto import Dto

MOST_ZOOM = 22


class Tile(Dto):
    """A square of the map, as web maps count them; ``body`` is the picture."""

    body: bytes
    media_type: str
    etag: str | None
    """Its version, to ask by whether it changed."""
    fresh_seconds: int
    """For how long it may be kept."""
