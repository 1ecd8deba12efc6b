"""`python -m tests.chaos`: kill servers and PostgreSQL under load, then say what was promised and what was kept."""

import argparse
import asyncio
import secrets
import signal
import sys

from tests.chaos.journal import Journal
from tests.chaos.scenario import Plan, one_server, two_servers

SCENARIOS = {"one server": one_server, "two servers on one database": two_servers}


def main() -> int:
    """Run the scenarios; 0 when every promise was kept."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: everything started is stopped
    print(f"seed {options.seed} (repeat its choices with --seed {options.seed})", flush=True)
    plan = Plan(options.kills, options.postgres_kills, options.seed, options.rate, options.seconds)
    kept = True
    for name, scenario in SCENARIOS.items():
        if options.only in (None, name.split()[0]):
            print(f"\n{name}: {plan.kills} kills of a server, {plan.postgres_kills} of PostgreSQL …", flush=True)
            kept &= _tell(asyncio.run(scenario(plan)))
    return 0 if kept else 1


def _tell(journal: Journal) -> bool:
    print(f"  {len(journal.acknowledged):>9,} events acknowledged")
    for what, count in sorted(journal.counts.items()):
        print(f"  {count:>9,} {what}")
    for violation in journal.violations:
        print(f"  VIOLATED: {violation}")
    print(
        "  every promise was kept" if not journal.violations else f"  {len(journal.violations)} violations", flush=True
    )
    return not journal.violations


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="kills of a server in each scenario [20]")
    parser.add_argument("--postgres-kills", type=int, default=5, help="kills of PostgreSQL in each scenario [5]")
    parser.add_argument("--seconds", type=float, default=0.0, help="least seconds of load in each scenario")
    parser.add_argument("--rate", type=float, default=400.0, help="events/s that are written, about [400]")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of every random choice")
    parser.add_argument("--only", choices=[name.split()[0] for name in SCENARIOS], help="one scenario alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
