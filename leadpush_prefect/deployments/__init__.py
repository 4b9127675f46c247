"""Deployments of campaigns: served, and paused by automations."""
