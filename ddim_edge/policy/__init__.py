"""Robot policies: from observations to a chunk of actions, in time for a control loop."""
