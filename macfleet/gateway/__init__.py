"""The process clients talk to: OpenAI API, queue, coordinator of the workers. No MLX here; never imports fleet."""
