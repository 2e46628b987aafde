"""The rehearsal fleet: simulated Macs behind a real SSH server. No product code knows it.

`up`, `down` and `status` are for the whole fleet, `faults` breaks and mends. Each Mac is one process (`lab/mac.py`).
"""
