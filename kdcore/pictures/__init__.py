"""What the pictures of a report need, computed once from held-out rows and kept as plain data."""

from kdcore.pictures.collect import collect, collect_or_say

__all__ = ["collect", "collect_or_say"]
