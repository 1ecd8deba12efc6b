"""Texts that are at hand are bounded by bytes."""

from lakefront.domain.documents.texts import OVERHEAD, Texts


def test_the_one_not_used_for_longest_makes_room() -> None:
    texts: Texts[int] = Texts(3 * (OVERHEAD + 10))
    for key in range(3):
        texts.put(key, "x" * 10)
    assert texts.get(0) == "x" * 10
    texts.put(3, "y" * 10)
    assert (texts.get(1), texts.get(0), texts.get(3)) == (None, "x" * 10, "y" * 10)
    texts.put(4, "z" * (2 * OVERHEAD))
    assert len(texts) == 1
    texts.put(5, "z" * 10_000)
    assert len(texts) == 0
