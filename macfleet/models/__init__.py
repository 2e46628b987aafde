"""Model cards and the arithmetic of config.json: bytes per layer, KV bytes per token. Pure."""
