"""The command of release 0.1; today `python -m core evaluate`."""

from core.evaluation.scene_world import main

if __name__ == "__main__":
    main()
