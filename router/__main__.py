"""``python -m router`` is the command ``guild-router``."""

from router.cli.main import main

main()
