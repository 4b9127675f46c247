"""Where runs, their contacts and the outcomes of their steps live: SQLAlchemy Core, on SQLite or PostgreSQL."""
