"""Faces: arguments in, text out. One file per command; only output.py prints."""
