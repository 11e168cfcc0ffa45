"""``python -m gyaku`` is the command ``gyaku``."""

from gyaku.cli import main

main()
