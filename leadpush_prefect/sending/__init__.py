"""Who sends requests, and when."""
