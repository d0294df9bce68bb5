"""The engine on a tiny random checkpoint: what it answers, in which order, what it survives."""
