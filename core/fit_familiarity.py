"""The command of release 0.1; today `python -m core fit-ood`."""

from core.evaluation.fit_ood import main

if __name__ == "__main__":
    main()
