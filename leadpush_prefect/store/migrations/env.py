"""What Alembic runs for each migration: on the connection that `upgrade` gives it, in its transaction."""

from alembic import context

from leadpush_prefect.store.schema import metadata
from leadpush_prefect.store.upgrade import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
