"""Where runs, their contacts and their outcomes live: SQLAlchemy Core on SQLite or PostgreSQL."""
