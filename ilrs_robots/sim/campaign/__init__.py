"""Campaigns: many seeded worlds, each driven in lock-step in a process of its own."""
