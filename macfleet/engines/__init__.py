"""How an engine is installed, launched and probed; mlx is the bundled one."""
