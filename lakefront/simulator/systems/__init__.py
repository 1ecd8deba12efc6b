"""Outside systems, one file each: a file's one subclass of ``System`` is found by itself."""

import pkgutil
from importlib import import_module

from lakefront.simulator.city import City
from lakefront.simulator.systems.base import System


def build(city: City) -> dict[str, System]:
    """Every system by its name, with the city's state behind it and its limits in force."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    systems = {kind.name: kind(city) for kind in sorted(System.__subclasses__(), key=lambda kind: kind.name)}
    for system in systems.values():
        city.limits.set(system.limits)
    city.limits.set(city.own_limits)
    return systems
