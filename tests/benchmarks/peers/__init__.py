"""Other engines on the same shapes: each in an environment and a process of its own."""
