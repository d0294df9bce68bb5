"""The exit codes of every command. Read before set-up, by any Python 3: standard library only."""

EXIT_OK = 0
EXIT_OUR_FAILURE = 1
EXIT_BAD_INPUT = 2  # something about the request has to change
EXIT_INTERRUPTED = 130
