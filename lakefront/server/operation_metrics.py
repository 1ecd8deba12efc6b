"""What ``/metrics`` tells of operations: how they are answered, and what the planner has in mind."""

from collections.abc import Callable, Mapping
from typing import Any

from lakefront.graphql.operations import Operations
from lakefront.graphql.plan.cache import Cache
from lakefront.server.metrics import Metrics

TIERS = (1, 2, 3)


def show_operations(metrics: Metrics, operations: Operations, requests: Cache[Any, Any]) -> None:
    """Show the gauges and counters of ``operations``, its planner and its runner; ``requests`` were asked lately."""
    runner, turns = operations.runner, operations.turns
    metrics.counters(
        "lakefront_operations",
        "Queries and mutations by the tier that answered.",
        "tier",
        lambda: {str(tier): runner.tiers[tier] for tier in TIERS},
    )
    metrics.gauge("lakefront_operations_running", "Operations that run.", lambda: turns.taken)
    metrics.gauge("lakefront_operations_waiting", "Operations that wait for their turn.", lambda: turns.waiting)
    metrics.counter("lakefront_row_batches", "Statements that read rows by key.", lambda: runner.batches.statements)
    metrics.counter("lakefront_row_batch_keys", "Keys that they read.", lambda: runner.batches.keys)
    _show_caches(metrics, operations, requests)


def _show_caches(metrics: Metrics, operations: Operations, requests: Cache[Any, Any]) -> None:
    planner = operations.planner
    caches: Mapping[str, Cache[Any, Any]] = {
        "documents": planner.documents,
        "refused": planner.refused,
        "plans": planner.plans,
        "statements": operations.runner.statements.shapes,
        "requests": requests,
    }

    def of_each(number: Callable[[Cache[Any, Any]], int]) -> Callable[[], Mapping[str, float]]:
        return lambda: {name: number(cache) for name, cache in caches.items()}

    name, label = "lakefront_plan_cache", "cache"
    metrics.counters(f"{name}_hits", "Found in a memory of the planner.", label, of_each(lambda cache: cache.hits))
    metrics.counters(f"{name}_misses", "Not found there.", label, of_each(lambda cache: cache.misses))
    metrics.counters(f"{name}_evictions", "Forgotten for others.", label, of_each(lambda cache: cache.evictions))
    metrics.gauges(f"{name}_entries", "What is in it.", label, of_each(len))
