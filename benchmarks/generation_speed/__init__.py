"""Training and sampling of SDXL against public diffusers code at equal work; see README.md one folder up."""
