"""The life of a LoRA: recipe, dataset, training, the file, sampling; importing any module here imports no torch."""
