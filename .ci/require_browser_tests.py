"""Fail when a test report shows a skipped browser test, or no test at all.

Usage: require_browser_tests.py REPORT, a JUnit file of pytest's. tests/conftest.py notes in it,
as a property, which tests need a browser.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def problems(report: Path) -> list[str]:
    """What is wrong with a test run, one sentence each; empty when nothing is."""
    if not report.is_file():
        return [f"There is no test report {report}: pytest did not run to its end."]
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    if all(case.find("skipped") is not None for case in cases):
        return ["No test ran."]
    return [
        f"A browser test was skipped: {case.get('classname')}.{case.get('name')}"
        for case in cases
        if needs_browser(case) and case.find("skipped") is not None
    ]


def needs_browser(case: ElementTree.Element) -> bool:
    """Whether the test carries the mark `browser`."""
    properties = case.iter("property")
    return any((item.get("name"), item.get("value")) == ("needs", "browser") for item in properties)


if __name__ == "__main__":
    found = problems(Path(sys.argv[1]))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    sys.exit(bool(found))
