"""The judge looks at a LoRA while it is trained: a curve, and the end of a run that has nothing left to gain.

``inputs`` says who is looked at and on what, ``watcher`` looks, ``curve`` remembers, ``child`` trains with it in the
one child process. The rules of an early stop are ``evals.training_stop``.
"""
