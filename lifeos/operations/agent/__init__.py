"""An agent within bounds: its contract, how it is started and stopped, and what is taken from it."""
