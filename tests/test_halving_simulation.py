"""What docs/parameter-sweep.md says of halving, in small."""

from benchmarks.halving_simulation import Case, simulate


def test_it_draws_what_it_says_and_loses_the_best_only_to_noise():
    whole = simulate(Case(8, 8, 0.02, 0.06), repetitions=50)
    halved = simulate(Case(8, 2, 0.02, 0.06), repetitions=50)
    assert (whole.lost, whole.drawn, halved.drawn) == (0.0, 1.0, 0.5)
    assert halved.lost > 0.0
    assert halved.chosen + halved.lost <= 1.0


def test_without_noise_the_best_stays_through_every_block():
    quiet = simulate(Case(8, 2, 0.02, 0.0), repetitions=50)
    assert (quiet.lost, quiet.chosen, quiet.regret) == (0.0, 1.0, 0.0)
