#!/usr/bin/env python
"""Command line of Countersign: ``./manage.py help`` lists what it can do."""

import os
import sys
from pathlib import Path


def main() -> None:
    # `platform/` is a second source root; an installed project has it on its path already.
    sys.path.append(str(Path(__file__).resolve().parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countersign.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
