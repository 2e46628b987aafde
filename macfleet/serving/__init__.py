"""Services deployed, kept and rebooted: drives fleet with the decisions of the floors below."""
