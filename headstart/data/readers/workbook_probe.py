"""A workbook is opened in a process of its own first: in a damaged one its reader may run without end, or end Python.

Seen with python-calamine 0.9: of files with a few changed bytes, some .xls ask for 500 GB at once, which ends the
process, and some .ods never come back.
"""

from __future__ import annotations

import os
import subprocess
import sys

from headstart.data.readers.table_builder import TableBuilder

SECONDS, SECONDS_PER_MEGABYTE = 30, 2  # that opening may take: a megabyte of .xlsx takes a quarter of a second
MEMORY = 2**33  # bytes that it may take
CRASHED = 3
SCRIPT = f"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, resource.getrlimit(resource.RLIMIT_AS)[1]))
except (ImportError, ValueError, OSError):
    pass
import python_calamine
try:
    with open(sys.argv[1], "rb") as file:
        workbook = python_calamine.CalamineWorkbook.from_filelike(file)
        for index, entry in enumerate(workbook.sheets_metadata):
            if entry.typ == python_calamine.SheetTypeEnum.WorkSheet:
                workbook.get_sheet_by_index(index)
except Exception:
    sys.exit(1)  # headstart meets the same, and says it
except BaseException:
    sys.exit({CRASHED})  # a panic
"""


def check_opening(path: str, builder: TableBuilder) -> None:
    """Raises DataError (E113) for a workbook whose reader crashes, or takes too long or too much memory."""
    if not sys.executable:
        return  # Python inside another program: there is nothing to start
    limit = SECONDS + SECONDS_PER_MEGABYTE * os.path.getsize(path) // 2**20
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RUST_BACKTRACE": "0"}
    try:
        child = subprocess.run([sys.executable, "-c", SCRIPT, path], stdin=subprocess.DEVNULL, env=environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise builder.fatal_error("E113", f"the workbook is damaged: it is not open after {limit} seconds.",
                                  "Open it in a spreadsheet program and save it again, or as csv (UTF-8).") from None
    if child.returncode not in (0, 1):
        raise builder.fatal_error("E113", "the workbook is damaged: its reader fails on it.",
                                  "Open it in a spreadsheet program and save it again, or as csv (UTF-8).")
