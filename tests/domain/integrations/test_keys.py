"""The keys: what they encrypt is read in its place alone, by whoever has them; the file is made once and kept."""

import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakefront.domain.integrations.keys import CannotDecrypt, CredentialKeys, Encrypted, Place, id_of
from lakefront.errors import Unavailable, ValidationError
from lakefront.settings import Settings

PLACE = Place("acme", "parcels", "bos", "https://parcels.example:443")
TEXT = {"api_key": "hush", "second_key": "härter"}


def of_file(folder: Path) -> CredentialKeys:
    return CredentialKeys.load_or_create(Settings(data=folder))


def of_settings(*keys: bytes) -> CredentialKeys:
    return CredentialKeys.load_or_create(Settings(credential_keys=[b64encode(key).decode() for key in keys]))


def test_what_is_encrypted_is_read_again_and_never_twice_the_same() -> None:
    keys = CredentialKeys.ephemeral()
    first, second = keys.encrypt(PLACE, TEXT), keys.encrypt(PLACE, TEXT)
    assert first.data != second.data
    assert keys.decrypt(PLACE, first) == keys.decrypt(PLACE, second) == TEXT
    assert b"hush" not in first.data
    assert keys.decrypt(PLACE, keys.encrypt(PLACE, {})) == {}


@pytest.mark.parametrize("part", Place._fields)
def test_in_another_place_it_is_worth_nothing(part: str) -> None:
    keys = CredentialKeys.ephemeral()
    stored = keys.encrypt(PLACE, TEXT)
    with pytest.raises(CannotDecrypt):
        keys.decrypt(PLACE._replace(**{part: "globex"}), stored)


@given(st.lists(st.text(max_size=3), min_size=8, max_size=8))
def test_no_two_places_are_alike(parts: list[str]) -> None:
    keys = CredentialKeys.ephemeral()
    here, there = Place(*parts[:4]), Place(*parts[4:])
    stored = keys.encrypt(here, TEXT)
    if here == there:
        assert keys.decrypt(there, stored) == TEXT
    else:
        with pytest.raises(CannotDecrypt):
            keys.decrypt(there, stored)


@given(data=st.data())
def test_a_changed_ciphertext_is_refused(data: Any) -> None:
    keys = CredentialKeys.ephemeral()
    key_id, stored = keys.encrypt(PLACE, TEXT)
    at = data.draw(st.integers(0, len(stored) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(stored)
    changed[at] ^= 1 << bit
    for wrong in (bytes(changed), stored[:at], stored + b"\0"):
        with pytest.raises(CannotDecrypt):
            keys.decrypt(PLACE, Encrypted(key_id, wrong))


def test_another_key_does_not_read_it_even_under_its_name() -> None:
    keys, others = CredentialKeys.ephemeral(), CredentialKeys.ephemeral()
    stored = keys.encrypt(PLACE, TEXT)
    with pytest.raises(CannotDecrypt, match=stored.key_id):
        others.decrypt(PLACE, stored)
    with pytest.raises(CannotDecrypt):
        others.decrypt(PLACE, stored._replace(key_id=others.current))


def test_the_first_of_the_settings_encrypts_and_all_decrypt() -> None:
    old, new = token_bytes(32), token_bytes(32)
    stored = of_settings(old).encrypt(PLACE, TEXT)
    both = of_settings(new, old)
    assert both.current == id_of(new)
    assert both.decrypt(PLACE, stored) == TEXT
    assert both.encrypt(PLACE, TEXT).key_id == id_of(new)
    with pytest.raises(ValidationError, match="LAKEFRONT_CREDENTIAL_KEYS"):
        both.add()


@pytest.mark.parametrize("text", ["", "short", "#" * 44, "ä" * 43, b64encode(bytes(31)).decode()])
def test_what_is_no_key_is_told_without_showing_it(text: str) -> None:
    with pytest.raises(ValidationError, match="openssl") as wrong:
        CredentialKeys.load_or_create(Settings(credential_keys=[text]))
    assert not text or text not in str(wrong.value)


def test_the_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    keys = of_file(tmp_path / "data")
    path = tmp_path / "data" / "keys" / "credentials.keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = of_file(tmp_path / "data")
    assert again.current == keys.current
    assert again.decrypt(PLACE, keys.encrypt(PLACE, TEXT)) == TEXT
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_of_many_that_start_at_once_all_have_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: of_file(tmp_path), range(8)))
    assert len({one.current for one in keys}) == 1


def test_a_new_key_is_known_to_a_server_that_runs(tmp_path: Path) -> None:
    running = of_file(tmp_path)
    before = running.encrypt(PLACE, TEXT)
    other = of_file(tmp_path)
    assert other.add() != running.current
    after = other.encrypt(PLACE, TEXT)
    assert after.key_id != before.key_id
    assert other.decrypt(PLACE, before) == running.decrypt(PLACE, after) == TEXT
    assert running.current == other.current, "it encrypts under the new one, too"
    assert stat.S_IMODE((tmp_path / "keys" / "credentials.keys").stat().st_mode) == 0o600


def test_a_fingerprint_outlasts_a_new_key(tmp_path: Path) -> None:
    keys = of_file(tmp_path)
    before = keys.fingerprint(b"x")
    keys.add()
    assert keys.fingerprint(b"x") == of_file(tmp_path).fingerprint(b"x") == before


def test_of_two_new_keys_at_once_none_is_lost(tmp_path: Path) -> None:
    start = of_file(tmp_path)
    made = [of_file(tmp_path) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        added = set(pool.map(CredentialKeys.add, made))
    keys = of_file(tmp_path)
    assert len(added) == 6
    assert all(key_id in keys for key_id in {*added, start.current})


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_damaged_file_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    of_file(tmp_path)
    path = tmp_path / "keys" / "credentials.keys"
    path.write_bytes(content)
    with pytest.raises((ValidationError, Unavailable), match="backup"):
        of_file(tmp_path)
    assert path.read_bytes() == content


def test_nothing_shows_a_key(tmp_path: Path) -> None:
    keys = of_file(tmp_path)
    text = (tmp_path / "keys" / "credentials.keys").read_text().strip()
    assert text not in repr(keys)
    assert keys.current in repr(keys)
    assert text not in repr(Settings(credential_keys=[text]))
    assert keys.fingerprint(b"x") != CredentialKeys.ephemeral().fingerprint(b"x")
