"""Runs docs/notebook.ipynb and writes what its cells show: `tools/dev notebook`.

Numbers of executions and times are left out, so that a run that shows the same leaves the file as it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
SECONDS = 300
"""How long one cell may take."""


def executed(path: Path = NOTEBOOK) -> Any:
    """The notebook with its outputs; raises CellExecutionError for a cell that fails and is not to."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", record_timing=False)
    with TemporaryDirectory() as folder:  # where a cell writes a spec
        client.execute(cwd=folder)
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
            elif output.output_type == "error":  # where this tree lies is nobody else's place
                output.traceback = [line.replace(f"{ROOT}{os.sep}", "") for line in output.traceback]
    return notebook


def main() -> int:
    """Writes the notebook with the outputs of today."""
    nbformat.write(executed(), NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
