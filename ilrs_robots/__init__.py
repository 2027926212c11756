"""Terrain mapping, localisation and navigation for lunar robots."""

from importlib.metadata import version

__version__ = version("ilrs_robots")
