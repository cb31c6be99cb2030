"""The table that holds records: columns to search by, and the record itself as its JSON."""

from typing import Final

import sqlalchemy as sa

VERSION: Final = 1
"""``PRAGMA user_version`` of a store. A reader refuses what is newer; older ones are migrated."""

metadata = sa.MetaData()

records = sa.Table(
    "records",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("guard", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("dry_run", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    # Counting by Guard and verdict since a moment reads this index alone.
    sa.Index("records_by_time", "time", "guard", "verdict", "dry_run"),
    sa.Index("records_by_object", "name", "namespace", "time"),
    sa.Index("records_by_user", "user", "time"),
    sa.Index("records_by_verdict", "verdict", "time"),
    sa.Index("records_by_guard", "guard", "time"),
)
