"""The command line: ``python -m fanfold``."""

import sys

from fanfold.command import main

if __name__ == "__main__":
    sys.exit(main())
