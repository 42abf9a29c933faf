"""The command of release 0.1; today `python -m core explain-benchmark`."""

from core.commands.app import main

if __name__ == "__main__":
    main("explain-benchmark")
