"""Pictures: files in, upright RGB and 448 px tiles out."""
