"""Runs that are under way, in this process or another."""
