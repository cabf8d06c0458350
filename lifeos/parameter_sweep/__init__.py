"""Many settings on common noise: which checkpoint, strength, guidance, steps and sampler, and on how many machines."""
