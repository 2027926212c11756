"""Cost maps and path search."""
