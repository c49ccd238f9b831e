"""Training that begins again, from the seed, at a third of the learning rate, where it diverges or collapses.

    attempt 1   2e-4     step 120: the loss stands still, and every text gets one label
    attempt 2   6.7e-5   goes on to the end

What went wrong is told, stands in log.jsonl ("back_off"), in data.json and in every later checkpoint. Every attempt is
a function of the seed and its learning rate alone, so that a run which was killed in any of them ends with the same
weights.
"""

from __future__ import annotations

from headstart.files import discard, disk_errors, make_folder
from headstart.progress import TrainingWarning
from headstart.runs.attempts import Attempt, lower_rate, write_attempts
from headstart.runs.fit import Fit, fit_all
from headstart.runs.folder import RESUME
from headstart.runs.initial_state import initial_state, rebuild_model
from headstart.training.divergence import Diverged, LossWatch
from headstart.training.early_stopping import EarlyStopping


def fit_with_back_off(fit: Fit) -> None:
    """Every step to the end, at a lower rate where a higher one went wrong; raises UserError as `fit_all` does."""
    if fit.attempts:
        write_attempts(fit.folder, fit.attempts)  # data.json may have been made anew since
    while True:
        try:
            return fit_all(fit)
        except Diverged as diverged:
            if not fit.backs_off:
                raise
            begin_again(fit, diverged.message.rstrip("."))


def begin_again(fit: Fit, reason: str) -> None:
    """Forget this attempt but for what went wrong, and put the model back to where training began."""
    rate = fit.training.learning_rate
    assert rate is not None, "every attempt has a learning rate"
    attempt = Attempt(rate, fit.state.step, reason, round(fit.seconds, 3))
    fit.attempts = [*fit.attempts, attempt]
    write_attempts(fit.folder, fit.attempts)
    fit.reporter.emit(TrainingWarning(attempt.step, f"after step {attempt.step}: {reason}. Training begins again from "
                                      f"the seed at a learning rate of {lower_rate(rate):g}, a third of {rate:g} "
                                      "(training.back_off=off continues instead)"))
    fit.log.write_back_off(attempt)
    with disk_errors(fit.folder.path, RESUME):
        discard(fit.checkpoints)
        make_folder(fit.checkpoints)
    prepared = fit.prepared
    rebuild_model(prepared)
    fit.state = initial_state(prepared, precision=fit.precision, packed=fit.steps.packed)
    fit.checkpoint = None
    fit.early_stopping = EarlyStopping(fit.early_stopping.score, fit.early_stopping.higher_is_better)
    fit.losses, fit.collapse_warned = LossWatch(), False
    fit.padded_tokens, fit.tokens, fit.seconds = 0, 0, 0.0
