"""``lifeos new-persona``: from a folder of photographs to a persona folder that can be linted, trained and judged.

One photograph is read at a time; what was found of it is kept, its pixels are not. Everything is written into a hidden
folder beside the persona's place and gets its name last, so a persona is there whole or not at all.
"""
