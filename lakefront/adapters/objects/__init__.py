"""The object store: one interface, two drivers (a local folder, S3 and whatever speaks like it)."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lakefront.adapters.objects.local import LocalStore
from lakefront.adapters.objects.store import ObjectConflict, ObjectStore, StoredObject

__all__ = ["LocalStore", "ObjectConflict", "ObjectStore", "StoredObject", "open_store"]


def open_store(url: str | None, folder: Path) -> ObjectStore:
    """The store at ``url``, to be opened by its ``open``; without one, the folder ``objects`` below ``folder``.

    Raises ``ValueError`` for a URL that names no store. What the URL holds is not repeated: it might be a secret.
    """
    if url is None:
        return LocalStore(folder / "objects")
    parts = urlsplit(url)
    if parts.scheme == "s3":
        from lakefront.adapters.objects.s3 import S3Store  # noqa: PLC0415 (half a second and 30 MB that few need)

        return S3Store(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return LocalStore(Path(unquote(parts.path)))
    raise ValueError(
        "OBJECT_STORE_URL names no object store. Use file:///folder or "
        "s3://bucket?endpoint=https://host&region=name&prefix=path, or leave it unset for a folder of the server's own."
    )
