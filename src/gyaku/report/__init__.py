"""The report of a run: one self-contained HTML file, written from the run folder alone."""

from gyaku.report.page import write_report
from gyaku.report.pretrain import write_pretrain_report

__all__ = ["write_pretrain_report", "write_report"]
