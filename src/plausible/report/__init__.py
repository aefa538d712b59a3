"""What a run looks like: plots of samples, codes and curves, and one HTML page with all of it."""

from plausible.report.page import PageImage
from plausible.report.run_page import write_report
from plausible.report.sections import SECTIONS, Reported, section

__all__ = ["SECTIONS", "PageImage", "Reported", "section", "write_report"]
