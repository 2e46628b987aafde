"""macOS programs as the simulated Macs answer them; mirrors macos/ file for file."""
