"""A process forked after Ranvier has read data is told so at once, and does not wait forever."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, ranvier as rv
rv.read({"a": [1, 2]})
if pid := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
try:
    rv.read({"a": [1, 2]})
except rv.RunError as error:
    os._exit(7 if "spawn" in str(error) else 1)
os._exit(2)
"""


def test_a_forked_process_is_refused():
    assert subprocess.run([sys.executable, "-c", CODE], timeout=60, check=False).returncode == 7
