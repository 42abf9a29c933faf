"""Judges: anything that answers a Comparison with a Judgement. What each can do: protocols.py; one file a kind."""
