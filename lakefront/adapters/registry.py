"""Which outside systems there are adapters for: found, not listed. One file in ``providers/`` is one provider.

A city is added by one such file (C7): its name is the provider's, and it has one subclass of ``Adapter``. What several
share (``Base311Adapter``, the DTOs of a domain) is kept outside of that folder, so that all in it are providers.
"""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from inspect import isabstract
from types import MappingProxyType, ModuleType

from lakefront.adapters import providers as folder
from lakefront.adapters.base import Adapter


@cache
def providers() -> Mapping[str, type[Adapter]]:
    """The adapters by their providers' names, in their order; imported when first asked for.

    Raises ``TypeError``, which tells what to correct, for a file that is no provider.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(folder.__path__))
    return MappingProxyType({name: _adapter(import_module(f"{folder.__name__}.{name}")) for name in names})


def _adapter(module: ModuleType) -> type[Adapter]:
    """The one adapter that is written in ``module``."""
    name = module.__name__.rpartition(".")[2]
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Adapter) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise TypeError(f"providers/{name}.py must have one adapter, a class that inherits Adapter; it has {len(own)}")
    if isabstract(own[0]):
        lacking = ", ".join(sorted(own[0].__abstractmethods__))
        raise TypeError(f"providers/{name}.py: write {lacking}, which every adapter of its kind has")
    if own[0].provider != name:
        raise TypeError(f"providers/{name}.py is the adapter of {own[0].provider!r}: name both the same")
    return own[0]
