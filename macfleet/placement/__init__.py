"""Which Mac holds which layers, and who is cabled to whom. Pure decisions."""
