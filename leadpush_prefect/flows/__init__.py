"""Flows that come with the package, to be deployed beside the campaigns: test an endpoint, list all of them."""
