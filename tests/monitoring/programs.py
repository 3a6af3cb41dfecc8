"""Where the programs are that a test needs and a machine may lack."""

import os
import shutil

SKIPPED = 77  # the exit status by which ctest knows


def find_program(folder, name):
    """Of the folder where `./dev tools` puts it, else an installed one; None for neither."""
    there = folder / name
    return str(there) if os.access(there, os.X_OK) else shutil.which(name)
