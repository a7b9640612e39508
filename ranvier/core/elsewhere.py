"""What other libraries call things -> what they are here, for the errors of those who come from there."""

from __future__ import annotations

# settings of `fit` and `plan`
SETTINGS = {
    "lr": "'rate'",
    "learning_rate": "'rate'",
    "weight_decay": "'decay'",
    "batch_size": "'batch'",
    "num_epochs": "'epochs'",
    "n_epochs": "'epochs'",
    "max_epochs": "'epochs'",
    "time_limit": "'time'",
    "label": "'target'",
    "features": "'inputs'",
    "validation_data": "'val'",
    "tuning_data": "'val'",
    "eval_set": "'val'",
    "validation_split": "'fraction'",
    "test_size": "'fraction'",
    "random_state": "'seed'",
    "n_jobs": "'threads'",
    "num_workers": "'threads'",
    "class_weight": "'balance' (= 'loss')",
    "sample_weight": "a column: roles={NAME: 'weight'}",
    "dropout": "an option of a part of the plan: plan.fuse['dropout'] = 0.2",
    "early_stopping": "'patience'",
    "early_stopping_patience": "'patience'",
    "verbose": "'progress' of fit",
    "folder_path": "'folder'",
}
# ways of `generate` and `predict` to write texts
WRITING = {
    "max_new_tokens": "'longest'",
    "max_length": "'longest'",
    "max_tokens": "'longest'",
    "num_beams": "'beam'",
    "do_sample": "a 'temperature' above 0",
    "repetition_penalty": "'repetition'",
    "no_repeat_ngram_size": "'no_repeat'",
}
# kinds of `pretrain`
KINDS = {
    **dict.fromkeys(("causal", "clm", "causal_lm", "autoregressive", "gpt", "next_token"), "'next'"),
    **dict.fromkeys(("mlm", "masked_lm", "bert", "denoising", "mae", "mim", "simmim"), "'masked'"),
    **dict.fromkeys(("simclr", "views"), "'contrastive'"),
}
