"""The keys under which credentials are encrypted: of the settings, or of a file in the data folder (ADR 0028)."""

import fcntl
import os
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from hmac import digest as hmac_digest
from pathlib import Path
from secrets import token_bytes
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lakefront.errors import LakefrontError, Unavailable, ValidationError
from lakefront.settings import Settings

KEY_BYTES: Final = 32
"""Bytes of a key: AES-256."""

_FORM: Final = b"\x01"
"""How what is stored begins: this form, a nonce, the ciphertext with its tag."""

_NONCE: Final = 12
_PURPOSE: Final = b"lakefront integrations 1"

Credentials = Mapping[str, str]
"""Name -> what is secret."""


class CannotDecrypt(Exception):
    """What is stored cannot be read: no such key here, or it is not what was once stored in this place."""


class Place(NamedTuple):
    """Where credentials belong: moved to another row, or sent to another host, they are worth nothing."""

    tenant: str
    provider: str
    city: str
    origin: str
    """Scheme, host and port of the row's base URL."""


class Encrypted(NamedTuple):
    """Credentials as they are stored, and the id of their key."""

    key_id: str
    data: bytes


class CredentialKeys:
    """The keys, the first of which encrypts; all of them decrypt. A key's id follows from the key itself."""

    def __init__(self, keys: Iterable[bytes], *, path: Path | None = None) -> None:
        """``path``: the file that they are of, which is read again when somebody asks for a key that is not known."""
        self._path = path
        self._set(keys)

    @classmethod
    def load_or_create(cls, settings: Settings, *, create: bool = True) -> "CredentialKeys":
        """The keys of the setting ``credential_keys``, else of ``<data>/keys/credentials.keys``, made on first use.

        Raises ``ValidationError`` for what is no key, without showing it, and where there is none without ``create``.
        """
        if settings.credential_keys:
            return cls(_parsed([key.get_secret_value() for key in settings.credential_keys], _OF_SETTINGS))
        path = settings.data / "keys" / "credentials.keys"
        if not path.exists():
            if not create:
                raise ValidationError(
                    f"There is no {path}. Name the server's own data folder by --data, or give "
                    "LAKEFRONT_CREDENTIAL_KEYS as the server has it: what another key encrypts, it cannot read."
                )
            with _alone(path):
                if not path.exists():
                    _write(path, [token_bytes(KEY_BYTES)])
        return cls(_read(path), path=path)

    @classmethod
    def ephemeral(cls) -> "CredentialKeys":
        """A key that nobody else has, and that ends with the process."""
        return cls([token_bytes(KEY_BYTES)])

    @property
    def current(self) -> str:
        """The id of the key that encrypts."""
        return self._current

    @property
    def in_file(self) -> bool:
        """Whether they are of a file, so that ``add`` can make one."""
        return self._path is not None

    def encrypt(self, place: Place, credentials: Credentials) -> Encrypted:
        """``credentials``, to be stored at ``place`` alone."""
        nonce = token_bytes(_NONCE)
        sealed = AESGCM(self._keys[self._current]).encrypt(nonce, msgspec.json.encode(credentials), self._bound(place))
        return Encrypted(self._current, _FORM + nonce + sealed)

    def decrypt(self, place: Place, stored: Encrypted) -> dict[str, str]:
        """The credentials that are stored at ``place``; raises ``CannotDecrypt``."""
        key = self._find(stored.key_id)
        form, nonce, sealed = stored.data[:1], stored.data[1 : 1 + _NONCE], stored.data[1 + _NONCE :]
        try:
            if form != _FORM:
                raise CannotDecrypt("it is of another form")
            text = AESGCM(key).decrypt(nonce, sealed, self._bound(place, stored.key_id))
            return msgspec.json.decode(text, type=dict[str, str])
        except (InvalidTag, ValueError) as wrong:
            raise CannotDecrypt("it is not what was stored there") from wrong

    def fingerprint(self, text: bytes) -> bytes:
        """A digest of ``text`` that tells nobody without the keys anything of it; it outlasts a new key."""
        oldest = next(reversed(self._keys.values()))
        return hmac_digest(oldest, b"fingerprint:" + text, "sha256")

    def add(self) -> str:
        """Make a key that encrypts from now on, and return its id; the others stay, to decrypt.

        It is on the disk before it is used. Raises ``ValidationError`` where the keys are of the settings.
        """
        if self._path is None:
            raise ValidationError(
                "The keys are of the setting LAKEFRONT_CREDENTIAL_KEYS: put a new one at its front there, on every "
                "server, after they all had it at its end."
            )
        with _alone(self._path):
            keys = [token_bytes(KEY_BYTES), *_read(self._path)]
            _write(self._path, keys)
        self._set(keys)
        return self._current

    def __contains__(self, key_id: str) -> bool:
        """Whether there is such a key."""
        return key_id in self._keys

    def __repr__(self) -> str:
        """Without the keys."""
        return f"CredentialKeys({', '.join(self._keys)})"

    def _find(self, key_id: str) -> bytes:
        try:
            if key_id not in self._keys and self._path is not None:
                self._set(_read(self._path))  # another process may have added one
            return self._keys[key_id]
        except (KeyError, LakefrontError) as missing:
            raise CannotDecrypt(f"no key {key_id[:16]} is here") from missing

    def _set(self, keys: Iterable[bytes]) -> None:
        self._keys = {id_of(key): key for key in keys}
        self._current = next(iter(self._keys))

    def _bound(self, place: Place, key_id: str | None = None) -> bytes:
        """What the ciphertext is bound to, each part with its length, so that no two places are alike."""
        parts = (_PURPOSE, (key_id or self._current).encode(), *(part.encode() for part in place))
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def id_of(key: bytes) -> str:
    """What a key is called: it tells nothing of a key that was drawn at random, as all of them must be."""
    return sha256(b"lakefront key id:" + key).hexdigest()[:16]


_OF_SETTINGS: Final = "LAKEFRONT_CREDENTIAL_KEYS"


def _parsed(texts: Iterable[str], where: object) -> list[bytes]:
    """The keys that ``texts`` are, base64 in its plain or its URL alphabet."""
    keys = []
    for text in texts:
        try:
            key = b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValidationError(
                f"{where}: each key is {KEY_BYTES} random bytes in base64. Make one with `openssl rand -base64 32`."
            )
        keys.append(key)
    return keys


def _read(path: Path) -> list[bytes]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as wrong:
        raise Unavailable(f"{path} cannot be read ({type(wrong).__name__}). Restore it from your backup.") from wrong
    keys = _parsed(filter(None, (line.strip() for line in lines)), path)
    if not keys:
        raise ValidationError(f"{path} holds no key. Restore it from your backup: what it encrypted is lost without.")
    return keys


def _write(path: Path, keys: Iterable[bytes]) -> None:
    """Put ``keys`` into the file, whole or not at all, readable by its owner alone."""
    draft = path.with_name(f".{uuid4()}.keys")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(urlsafe_b64encode(key) + b"\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time changes the file: of two new keys none may be lost."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
