"""The learner's wing: formulas of the notes as numbers and pictures, by the same models and trainer as everything else.

`plausible theory` is `experiment.theory`: it trains a GAN on the line, where p_data, p_g and D* are known, and writes
a page of what it measured.
"""
