"""One process per Mac: a stage of the pipeline. Only worker/mlx knows MLX; never imports fleet."""
