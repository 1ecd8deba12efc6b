"""Row security as statements: what a migration says of each table that the application reads under its role."""

from lakefront.db.database import APP_ROLE

_SETTING = "(SELECT current_setting('lakefront.{name}', true))"
# In a subquery of its own: PostgreSQL then evaluates it once, and plans with the indexes (DESIGN.md).


def secured(table: str, *, owner: str | None = None) -> list[str]:
    """The statements that hold ``table`` to the tenant, and to the subject where one is set and rows have an ``owner``.

    The second policy restricts the first. It stands behind the predicate that statements have themselves: where no
    subject is set, the tenant's rows are all there.
    """
    tenant, subject = _SETTING.format(name="tenant"), _SETTING.format(name="subject")
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant ON {table} TO {APP_ROLE} USING (tenant_id = {tenant}) WITH CHECK (tenant_id = {tenant})",
    ]
    if owner is not None:
        mine = f"(coalesce({subject}, '') = '' OR {owner} = {subject})"
        statements.append(f"CREATE POLICY owner ON {table} AS RESTRICTIVE TO {APP_ROLE} USING {mine} WITH CHECK {mine}")
    return statements
