"""Point cloud operations."""
