"""The recipe of the bundled model: its small world, its data, its stages, its evaluation."""
