"""``python -m neurorack.lab.evaluate MODEL``."""

import sys

from . import main

sys.exit(main())
