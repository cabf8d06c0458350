"""Peak GPU memory of a recipe before a GPU is rented: the real step on fake tensors, through a model of the allocator.

``allocator`` is arithmetic alone; ``tracer`` and ``cuda_semantics`` make a processor allocate as a GPU would;
``scratch`` knows what operators take inside themselves; ``steps`` are the training step and the sampling loop;
``fit`` answers. Nothing here imports torch until something has to be traced.
"""

from lifeos.pods.vram.fit import Fit, fit, fit_inputs, memory_verdict, out_of_memory_advice, read_architecture

__all__ = ["Fit", "fit", "fit_inputs", "memory_verdict", "out_of_memory_advice", "read_architecture"]
