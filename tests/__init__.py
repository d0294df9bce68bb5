"""The tests mirror the tree; media are made in code (media.py)."""
