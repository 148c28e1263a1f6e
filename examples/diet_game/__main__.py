"""``python -m examples.diet_game``."""

from examples.diet_game.app import main

main()
