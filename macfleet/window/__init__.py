"""The rolling reboot as a state machine: next_action(state, observation, now). Pure."""
