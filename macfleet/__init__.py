"""macfleet turns a shelf of Apple Silicon Macs into one machine that serves large models, and keeps it that way."""

__version__ = "0.1.0"
