"""What mutations of all domains report."""

import strawberry


@strawberry.type(description="What a mutation would have done (X4); given on a dry run only.")
class DryRunReport:
    """A dry run's report."""

    changes: int = strawberry.field(description="How many changes would have been made.")
    quota: int = strawberry.field(description="How much of the quota, in events, it would have used.")
    outside_calls: int = strawberry.field(description="How many calls to outside systems it would have made.")
