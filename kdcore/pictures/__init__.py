"""What the pictures of a report need, computed once from held-out rows and kept as plain data."""

from kdcore.pictures.collect import collect

__all__ = ["collect"]
