"""Entry point of `python -m sequentia`."""

import sys

from sequentia.cli import main

sys.exit(main())
