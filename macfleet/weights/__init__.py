"""Which byte ranges of which file hold which tensors, and who needs which bytes. Pure."""
