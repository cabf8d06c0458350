"""Before money is spent on a pod: what its requirements say."""
