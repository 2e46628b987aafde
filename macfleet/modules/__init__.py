"""The verbs a playbook may use: fact and diff, giving Changes. Pure; every module works as a check too."""
