"""What goes wrong with an embedded part."""


class EmbeddedError(Exception):
    """An embedded part cannot be started or kept up; the message says what to do next."""
