"""What is measured of a worker, and what the watchdog decides from it. Pure."""
