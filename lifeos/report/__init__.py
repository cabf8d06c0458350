"""What a finished run shows to a person."""
