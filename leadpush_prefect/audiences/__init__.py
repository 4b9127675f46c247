"""Whom a campaign is for: files, queries and iterables, read as contacts."""
