"""One turn of the assistant, from conversation to tokens; read `assistant.py` first."""
