"""Texts: JSON, Markdown, and what of them is shown, kept or hidden."""
