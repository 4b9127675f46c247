"""The process and its operating system."""
