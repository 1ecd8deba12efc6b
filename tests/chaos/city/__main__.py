"""``python -m tests.chaos.city``: reports under faults and kills; then what was promised and what was kept."""

import argparse
import asyncio
import secrets
import signal
import sys

from tests.chaos.city.scenario import Plan, bad_days


def main() -> int:
    """Run it; 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.city", description=__doc__)
    parser.add_argument("--reports", type=int, default=2000, help="service requests that are submitted [2000]")
    parser.add_argument("--kills", type=int, default=12, help="kills of a server, and the worker in it [12]")
    parser.add_argument("--redis-kills", type=int, default=8, help="kills of Redis [8]")
    parser.add_argument("--faults", type=float, default=0.3, help="part of all calls that fail [0.3]")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of every random choice")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: everything started is stopped
    print(f"seed {options.seed} (repeat its choices with --seed {options.seed})", flush=True)
    plan = Plan(options.reports, options.kills, options.redis_kills, options.seed, faults=options.faults)
    journal = asyncio.run(bad_days(plan))
    for what, count in sorted(journal.counts.items()):
        print(f"  {count:>9,} {what}")
    for violation in journal.violations:
        print(f"  VIOLATED: {violation}")
    print(f"  {len(journal.violations)} violations" if journal.violations else "  every promise was kept", flush=True)
    return 1 if journal.violations else 0


if __name__ == "__main__":
    sys.exit(main())
