"""How many tokens a text has, by one compiled expression: a tenth of what reading them costs, and no memory."""

import re
from itertools import islice
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r'"""(?:[^"\\]++|\\"""|\\|"(?!""))*+"""'  # a block string
    r'|"(?:[^"\\\n\r]++|\\.)*+"'  # a string
    r"|\#[^\n\r]*+"  # a comment
    r"|\.\.\.|[A-Za-z_0-9+\-][A-Za-z_0-9.+\-]*+"  # a spread, a name, a number
    r"|[^\s,\ufeff]"  # punctuation, and what is none
)


class Counts(NamedTuple):
    """What a text is made of."""

    tokens: int
    comments: int
    directives: int


def count(text: str, most: int) -> Counts:
    """The tokens of ``text``, at most ``most`` and one, comments among them.

    Of a text that is not well-formed it is an estimate: a string that does not end counts by its words.
    """
    tokens = comments = directives = 0
    for found in islice(_TOKEN.finditer(text), most + 1):
        first = text[found.start()]
        if first == "#":
            comments += 1
        else:
            tokens += 1
            directives += first == "@"
    return Counts(tokens, comments, directives)
