"""`kdcore.search`: the settings of a student searched over score, latency and columns at once."""

from kdcore.hpo.result import SearchResult
from kdcore.hpo.run import search

__all__ = ["SearchResult", "search"]
