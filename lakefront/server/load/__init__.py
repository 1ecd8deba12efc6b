"""Loading published files through the public HTTP door: rows become events (pure), a client sends them."""


class LoadError(Exception):
    """The load cannot start or go on; the message says why and what to do next."""
