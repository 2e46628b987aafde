"""The only floor that runs anything on a Mac: connections, the framed script, many Macs at once, the lock, the journal."""
