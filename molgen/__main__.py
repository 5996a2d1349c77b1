"""``python -m molgen`` is ``molgen``."""

from molgen.cli import main

raise SystemExit(main())
