"""Rewardscope core: what is true. Knows nothing of the interface."""
