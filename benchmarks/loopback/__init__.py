"""What `benchmarks/fleet.py` is made of: Macs on loopback, the bare floor, the peers, and misfortunes of the wire."""
