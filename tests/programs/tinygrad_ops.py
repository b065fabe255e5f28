"""Runs the operator tests of a checkout of tinygrad, with the tinygrad of that checkout; writes a line of JSON for each test.

    {"test": NAME, "result": "passed" | "failed" | "skipped", "seconds": S, "why": the last line of the error, or why it is skipped}

Every Nth test from the Ith on is run, of those that are named, or of all. One that takes longer than a limit has failed.

usage: tinygrad_ops.py CHECKOUT RESULTS I N [NAME...]
"""
import importlib.util
import json
import os
import signal
import sys
import time
import unittest
from pathlib import Path

# Where tinygrad had its operator tests, the latest first.
FILES = ["test/backend/test_ops.py", "test/test_ops.py"]
SECONDS = 1200


class TooLong(BaseException):
    """A test's time is over. Not an Exception, which a test might expect."""


def ends(signal_number, frame):
    raise TooLong(f"longer than {SECONDS} s")


class Lines(unittest.TestResult):
    """Says what became of each test, as soon as it is known."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def startTest(self, test):
        super().startTest(test)
        self.started, self.result, self.why = time.monotonic(), "passed", ""
        signal.alarm(SECONDS)

    def say(self, result, why):
        self.result, self.why = result, why

    def failed(self, error):
        lines = [line.strip() for line in str(error[1]).splitlines() if line.strip()]
        self.say("failed", f"{error[0].__name__}: {' | '.join(lines)}"[:600])

    def addError(self, test, error):
        self.failed(error)

    def addFailure(self, test, error):
        self.failed(error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.failed(error)

    def addSkip(self, test, why):
        self.say("skipped", why)

    def addExpectedFailure(self, test, error):
        self.say("skipped", "tinygrad expects that it fails")

    def addUnexpectedSuccess(self, test):
        self.say("passed", "tinygrad expects that it fails")

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)
        seconds = round(time.monotonic() - self.started, 2)
        name = test.id().split(".")[-1]
        print(json.dumps({"test": name, "result": self.result, "seconds": seconds, "why": self.why}), file=self.file, flush=True)
        print(f"{name}: {self.result} in {seconds} s", flush=True)


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def main(checkout, results, part, parts, names):
    file = open(results, "w")
    checkout = Path(checkout).resolve()
    found = [checkout / file for file in FILES if (checkout / file).is_file()]
    if not found:
        sys.exit(f"{checkout} has none of {', '.join(FILES)}")
    sys.path.insert(0, str(checkout))
    os.chdir(checkout)
    spec = importlib.util.spec_from_file_location("test_ops", found[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    signal.signal(signal.SIGALRM, ends)
    tests = list(flat(unittest.defaultTestLoader.loadTestsFromModule(module)))
    if names:
        tests = [test for test in tests if test.id().split(".")[-1] in names]
    result = Lines(file)
    for test in tests[part::parts]:
        test.run(result)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
