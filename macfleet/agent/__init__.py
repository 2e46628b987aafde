"""macfleet's own daemon on every Mac: the watchdog. Never imports fleet."""
