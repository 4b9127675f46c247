"""A campaign over an audience: what the author of a flow touches."""
