"""The command of release 0.1; today `python -m app.inspect.gallery_results`."""

from app.inspect.gallery_results import main

if __name__ == "__main__":
    main()
