"""`plausible theory`: the formulas of the GAN paper as numbers and pictures, with the same models and trainer.

`experiment.theory` trains a GAN on one-dimensional data, where p_data, p_g and D* are known, and writes a page with
what it measured.

    experiment        trains the GAN and writes the page
    snapshot          p_data, p_g, D and D* of a one-dimensional GAN on a grid
    claims            every formula next to a measurement
    training_plots    Figure 1 of the paper, the animation, training curves
    probability_plots, theory_plots, pictures    pictures of the formulas
    plotting          what these share
    page              the HTML page
"""
