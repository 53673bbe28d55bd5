"""The report: every analysis that a log allows, drawn and said in words."""

from stafett.insight.report.assemble import Report, make_report
from stafett.insight.report.page import as_html, as_json

__all__ = ["Report", "as_html", "as_json", "make_report"]
