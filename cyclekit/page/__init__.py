"""The page of a store: one HTML file with its tables, figures and views, without network or simulator."""

from cyclekit.page.fill import Figure, page

__all__ = ["Figure", "page"]
