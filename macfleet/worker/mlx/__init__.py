"""The only place that knows MLX: split, load, cache."""
