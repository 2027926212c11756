"""Elevation map and what is derived from it."""
