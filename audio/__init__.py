"""Sound: files and samples in, 16 kHz waveforms and log-mel frames out."""
