"""What a key may look like: the same for every driver, so that an object can move from one store to another."""

MAX_KEY = 900
"""Bytes of the longest key: S3 takes 1,024, of which a prefix needs some."""

MAX_SEGMENT = 255
"""Bytes of the longest segment: what file systems take for a name."""


def check_key(key: str) -> str:
    """``key`` itself, if it is a relative path of plain segments; raises ``ValueError`` otherwise.

    A plain segment is not empty, does not begin with a dot, and holds no backslash, no control character and no lone
    surrogate. So there is no way up, none to the root, and no name that a shell or a glob hides.
    """
    if _size(key) > MAX_KEY:
        raise _refusal(key, f"it is longer than {MAX_KEY} bytes")
    for segment in key.split("/"):
        check_segment(segment, key)
    return key


def check_prefix(prefix: str) -> str:
    """The folder part of ``prefix`` (up to its last slash, without it); raises ``ValueError`` if no key can have it."""
    if _size(prefix) > MAX_KEY:
        raise _refusal(prefix, f"it is longer than {MAX_KEY} bytes")
    folder, slash, rest = prefix.rpartition("/")
    for segment in [*(folder.split("/") if slash else ()), *((rest,) if rest else ())]:
        check_segment(segment, prefix)
    return folder


def check_segment(segment: str, key: str) -> None:
    """Pass if ``segment`` is plain; raises ``ValueError`` that names the ``key`` it is from."""
    if not segment:
        raise _refusal(key, "it has an empty segment")
    if segment.startswith("."):
        raise _refusal(key, "a segment begins with a dot")
    if any(character == "\\" or character < " " or "\x7f" <= character <= "\x9f" for character in segment):
        raise _refusal(key, "it holds a backslash or a control character")
    if _size(segment) > MAX_SEGMENT:
        raise _refusal(key, f"a segment is longer than {MAX_SEGMENT} bytes")


def is_segment(name: str) -> bool:
    """Whether a name that was found in a folder can be a segment of a key."""
    try:
        check_segment(name, name)
    except ValueError:
        return False
    return True


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise _refusal(text, "it holds a lone surrogate") from None


def _refusal(key: str, reason: str) -> ValueError:
    return ValueError(f"{key[:100]!a} is no object key: {reason}. Use a relative path such as 'stream/year=2024/file'.")
