"""`python -m sequentia` is the command `sequentia`."""

import sys

from sequentia.cli import main

sys.exit(main())
