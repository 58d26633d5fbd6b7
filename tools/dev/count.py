"""Counts the test cases in JUnit files: prints "PASSED FAILED SKIPPED", then the name of each failed case.

ctest calls a whole GoogleTest program one test. Its cases are counted instead, from the program's own
closing lines, so that one number means the same everywhere.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

GTEST_COUNT = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) tests?[,.]", re.M)
GTEST_FAILED = re.compile(r"^\[  FAILED  \] ([^\s,(]+\.[^\s,(]+)(?:, where .*)?$", re.M)


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)


def add_case(count: Count, case: ElementTree.Element) -> None:
    name = ".".join(filter(None, [case.get("classname"), case.get("name")]))
    if case.get("classname") == case.get("name"):
        name = case.get("name") or "?"
    output = case.findtext("system-out") or ""
    cases = {kind: int(number) for kind, number in GTEST_COUNT.findall(output)}
    broken = case.get("status") == "fail"
    absent = "Unable to find executable" in output
    failed = broken or absent or case.find("failure") is not None or case.find("error") is not None
    skipped = case.get("status") in ("disabled", "notrun") or case.find("skipped") is not None
    if cases:
        count.passed += cases.get("PASSED", 0)
        count.skipped += cases.get("SKIPPED", 0)
        names = sorted(set(GTEST_FAILED.findall(output)))
        count.failed += max(cases.get("FAILED", 0), 1 if failed else 0)
        count.failures += [f"{name}: {each}" for each in names] or ([name] if failed else [])
    elif failed:
        count.failed += 1
        count.failures.append(name)
    elif skipped:
        count.skipped += 1
    else:
        count.passed += 1


def main() -> None:
    count = Count()
    for path in sys.argv[1:]:
        for case in ElementTree.parse(path).iter("testcase"):
            add_case(count, case)
    print(count.passed, count.failed, count.skipped)
    for failure in count.failures:
        print(failure)


if __name__ == "__main__":
    main()
