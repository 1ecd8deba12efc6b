"""Addresses as they may be shown: enough to know one's own again, too little to write to it."""


def masked(address: str) -> str:
    """``j…@e….com`` of ``jane@example.com``, ``+1…23`` of ``+12125550123``."""
    name, at, host = address.rpartition("@")
    if at:
        label, dot, rest = host.rpartition(".")
        return f"{name[:1]}…@{label[:1]}…{dot}{rest}"
    return f"{address[:2]}…{address[-2:]}"
