"""Reports and pictures; drawing libraries are imported where they are used."""
