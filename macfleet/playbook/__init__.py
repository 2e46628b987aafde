"""YAML into tasks, tasks into a plan. Strict templates; never a programming language."""
