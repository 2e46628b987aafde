"""The rehearsal fleet: simulated Macs behind a real SSH server. No product code knows it."""
