"""Elevation models, their refinement below the posting, craters, rocks and their pictures."""
