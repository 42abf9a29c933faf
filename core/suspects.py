"""The command of release 0.1; today `python -m core label-errors`."""

from core.label_errors.__main__ import main

if __name__ == "__main__":
    main()
