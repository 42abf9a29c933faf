"""The command of release 0.1; today `python -m core run`."""

from core.commands.app import main

if __name__ == "__main__":
    main("run")
