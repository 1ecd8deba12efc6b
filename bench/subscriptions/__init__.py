"""Delivered messages of one stream to many sockets, beside a stock Strawberry server: ``make bench-subscriptions``."""
