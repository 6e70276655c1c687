# SPDX-License-Identifier: Apache-2.0
"""Prints "PASSED FAILED" of a pytest junit report. A skipped test did not pass: it counts as failed."""
import sys
import xml.etree.ElementTree as ElementTree


def main():
    passed = failed = 0
    for suite in ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"):
        bad = sum(int(suite.get(key, 0)) for key in ("failures", "errors", "skipped"))
        passed += int(suite.get("tests", 0)) - bad
        failed += bad
    print(passed, failed)


main()
