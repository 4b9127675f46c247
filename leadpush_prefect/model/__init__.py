"""What contacts, endpoints, steps and outcomes are: plain data."""
