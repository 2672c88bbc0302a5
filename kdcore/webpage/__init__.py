"""Results as web pages: one file each, which loads nothing from elsewhere."""

from kdcore.webpage.page import comparison_page, data_of, report_page
from kdcore.webpage.words import LANGUAGES

__all__ = ["LANGUAGES", "comparison_page", "data_of", "report_page"]
