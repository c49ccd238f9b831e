"""Every setting of the machinery on one line: name, type, default, help, unit and bounds; flags, file keys and docs come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from headstart.settings.note import Count, Note, Part

BATCH_SIZE = 32  # examples of a step where nothing else was chosen


@dataclass(frozen=True)
class Data:
    """How the user's file is read, split and cut.

    >>> model = headstart.load("reviews-run")
    >>> model.evaluate("reviews.csv", data=headstart.Data(bad_rows="skip"))
    """

    bad_rows: Annotated[Literal["stop", "skip"], Note("what to do with rows that cannot be used; skipped ones are counted and listed")] = "stop"
    header: Annotated[bool, Note("whether the first line names the columns (--no-header says it does not)")] = True
    delimiter: Annotated[str, Note("delimiter of a csv or tsv file, or comma, tab, semicolon, bar; detected when empty")] = ""
    quote: Annotated[str, Note("what encloses the fields of a csv or tsv file: double, single, none (quotes are characters); detected when empty")] = ""
    escape: Annotated[str, Note("what stands before a quote inside quotes in a csv or tsv file: backslash, none (the quote is doubled); detected when empty")] = ""
    encoding: Annotated[str, Note("encoding of the file; detected when empty")] = ""
    records: Annotated[str, Note("key of a JSON file under which its rows stand (a.b: b below a); found when empty")] = ""
    sheet: Annotated[str, Note("sheet of a workbook, by name or by number from 1; found when empty")] = ""
    word_column: Annotated[Count, Note("column of the words in a CoNLL file, from 1; found by what it holds when not given", low=1)] = None
    tag_column: Annotated[Count, Note("column of its tags, from 1; found by what it holds when not given", low=1)] = None
    max_bytes: Annotated[int, Note("bytes that may come out of a compressed file; more is refused", low=1)] = 2**33
    schema: Annotated[str, Note("export that the file is: doccano, label-studio …; recognised when empty, none: its columns are taken as they stand")] = ""
    slice_by: Annotated[str, Note("a column of the dev and test rows (a language, a source): scores are also given for each of its values; a,b two such columns, a+b their pairs")] = ""
    select_slice: Annotated[str, Note("only dev rows of this value of data.slice_by select the checkpoint")] = ""
    max_length: Annotated[Count, Note("tokens of one model input; from the data's lengths and the model's limit when not given", low=8)] = None
    rows: Annotated[Literal["auto", "document", "paragraphs", "lines"], Note("what a row of a text file is, for tasks that read running text: document (a file), paragraphs (between blank lines) or lines; auto looks at the file")] = "auto"
    language: Annotated[str | None, Note("language of the texts, for a multilingual XLM: en, fr …; of the sources, for an mBART: en_XX")] = None
    target_language: Annotated[str | None, Note("target language, for an mBART: ro_RO …")] = None
    split: Annotated[str, Note("shares of train/dev/test when one file is given")] = "80/10/10"
    workers: Annotated[int, Note("processes that make the training rows' features; 0: this one (fastest below some 100,000 rows)", low=0, high=256)] = 0
    cache: Annotated[str, Note("cache folder of the training rows' features, by a hash of all that they are made from; none when empty")] = ""
    train_rows: Annotated[Part, Note("train on a part: a count, or a share below 1; seeded and stratified", above=0)] = None
    dev_rows: Annotated[Part, Note("the same for dev", above=0)] = None
    test_rows: Annotated[Part, Note("the same for test", above=0)] = None


@dataclass(frozen=True)
class Training:
    """How the model is trained."""

    method: Annotated[Literal["auto", "plain", "contrastive", "frozen"], Note("how a text classifier learns; plain (the whole model from the labels), contrastive (a sentence encoder from comparing texts, then a linear classifier), frozen (the linear classifier alone); auto: contrastive where rows a label are few and the model is a sentence encoder")] = "auto"
    epochs: Annotated[float | None, Note("passes over the training rows; from the data's size when not given", above=0)] = None
    max_steps: Annotated[Count, Note("steps at most; without epochs, exactly so many", low=1)] = None
    batch_size: Annotated[Count, Note("examples of one step; 32 when not given, 16 where rows are few, the rate is lowered for the task, and neither epochs nor steps are given", low=1)] = None
    batch_tokens: Annotated[Count, Note("tokens of one step, padding and targets included, instead of batch_size; off when not given", low=16)] = None
    micro_batch_size: Annotated[Count, Note("examples of one forward pass; when not given, 1,024 to 8,192 tokens by the model's size (65,536 on a GPU)", low=1)] = None
    learning_rate: Annotated[float | None, Note("peak learning rate; from the model's width, the task and the rows when not given", above=0, below=1)] = None
    back_off: Annotated[Literal["auto", "on", "off"], Note("begin again from the seed at a third of the learning rate, twice at most, where the loss diverges or predictions collapse; auto: where the rate was not given")] = "auto"
    schedule: Annotated[Literal["linear", "cosine", "cosine-restarts", "polynomial", "constant"], Note("how the learning rate falls after the warm-up")] = "linear"
    warmup_ratio: Annotated[float, Note("share of all steps, 0 to 1", low=0, high=1)] = 0.1
    warmup_steps: Annotated[Count, Note("the same as a number of steps", low=0)] = None
    restarts: Annotated[int, Note("cycles of cosine-restarts", low=1)] = 2
    power: Annotated[float, Note("exponent of polynomial", above=0)] = 2.0
    optimizer: Annotated[Literal["adamw", "adafactor"], Note("optimizer")] = "adamw"
    weight_decay: Annotated[float, Note("weight decay; not on biases, norms, and (but with sharded) embeddings of tokens absent from the training data", low=0)] = 0.01
    beta1: Annotated[float, Note("decay of the mean gradient", low=0, below=1)] = 0.9
    beta2: Annotated[float, Note("decay of the mean squared gradient", low=0, below=1)] = 0.999
    epsilon: Annotated[float, Note("added to the denominator", above=0)] = 1e-8
    max_grad_norm: Annotated[float | None, Note("gradients are clipped to this norm; off when 0", low=0)] = 1.0
    layerwise_lr_decay: Annotated[float, Note("learning rate of each layer as a share of the one above it", above=0, high=1)] = 1.0
    freeze: Annotated[str, Note("'embeddings', 'layers:N' (embeddings and the first N layers), 'encoder' (of an encoder-decoder) or 'backbone'; nothing when empty")] = ""
    adapter: Annotated[Literal["none", "lora"], Note("train low-rank matrices instead of the model's layers; adapter.* says which (needs peft)")] = "none"
    early_exit: Annotated[bool, Note("a classifier after each layer, so that a text is read only as deep as it needs; early_exit.* says when it is answered")] = False
    dropout: Annotated[float | None, Note("of hidden states; the model's own when not given", low=0, below=1)] = None
    attention_dropout: Annotated[float | None, Note("of attention weights; the model's own when not given", low=0, below=1)] = None
    layer_drop: Annotated[float | None, Note("share of layers that each batch skips (LayerDrop; BART-like models); the model's own when not given", low=0, below=1)] = None
    label_smoothing: Annotated[float, Note("share of the target spread over all classes", low=0, below=1)] = 0.0
    class_weights: Annotated[Literal["none", "balanced"], Note("'balanced' weighs a class by 1 / its share")] = "none"
    focal_gamma: Annotated[float, Note("gamma of the focal loss: how much confident examples count less; 0 is cross-entropy", low=0)] = 0.0
    gradient_checkpointing: Annotated[bool, Note("less memory, about a third slower")] = False
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Note("of the matrix products; auto: bf16 where the machine has it")] = "auto"
    batcher: Annotated[Literal["auto", "bucketed", "packed"], Note("padded batches of similar length, or several examples in one row")] = "auto"
    evaluate_every: Annotated[Count, Note("steps between evaluations on dev; when not given, once an epoch, and 20 times at most", low=1)] = None
    save_every: Annotated[Count, Note("steps between checkpoints; at each evaluation when not given", low=1)] = None
    keep_last: Annotated[int, Note("newest checkpoints that are kept, in addition to the best", low=1)] = 1
    keep_best: Annotated[int, Note("best checkpoints that are kept", low=1, high=100)] = 1
    shares: Annotated[Count, Note("parts of about equal length that each step is dealt into, for processes side by side; each part in micro-batches of its own; when not given, as many as --processes that the run began with, 1 with micro_batch_size", low=1)] = None
    deterministic: Annotated[bool, Note("add up the processes' gradients in one order, so that any number of processes ends with the same bits; slower")] = False
    sharded: Annotated[bool, Note("shard the model over the processes: each holds a part of every weight, gradient and moment (FSDP); for models too large for one")] = False
    cpu_offload: Annotated[bool, Note("with sharded, keep those parts in the processor's memory and bring them to the GPU when they are used")] = False
    timeout: Annotated[int, Note("seconds that a process waits for the others within a step before the run ends, saved", low=10, high=86_400)] = 600
    patience: Annotated[Count, Note("evaluations without a better score before training stops; never when not given", low=1)] = None

    @property
    def examples_per_pass(self) -> int:
        """Examples of one forward pass at most."""
        return self.micro_batch_size or self.examples_per_step

    @property
    def examples_per_step(self) -> int:
        """Examples of one step, where no budget of tokens says it."""
        return self.batch_size or BATCH_SIZE


@dataclass(frozen=True)
class Evaluation:
    """How the model is measured.

    >>> model = headstart.load("reviews-run")
    >>> scores = model.evaluate("reviews.csv", evaluation=headstart.Evaluation(resamples=200))
    """

    baselines: Annotated[bool, Note("fit cheap baselines on the same split")] = True
    baseline_rows: Annotated[int, Note("training rows that baselines are fitted on at most, drawn by the seed, so that they never cost more than the training", low=100)] = 50_000
    extra_metrics: Annotated[str, Note("further scores that installed packages add, by name, joined by commas; none when empty")] = ""
    metric: Annotated[str, Note("score that chooses the checkpoint and stops early: any of the task's, or loss; the task's first when empty")] = ""
    ship: Annotated[Literal["auto", "trained", "best"], Note("which model is saved; trained (what was trained), best (a frozen encoder with logistic regression instead, where that is better on dev beyond chance); auto: best for contrastive and frozen, else trained")] = "auto"
    folds: Annotated[Count, Note("score each row by a model trained without it; so many models for that, beside the one that is saved, which is trained on all rows; 0: split dev and test off; when not given, 3 to 5 models below 200 rows", low=0, high=10_000)] = None
    resamples: Annotated[int, Note("bootstrap resamples of each interval; none when 0", low=0, high=100_000)] = 1000
    calibrate: Annotated[bool, Note("learn a temperature on dev that makes probabilities as high as answers are often right; it is used where it lowers the loss beyond chance")] = True
    risk: Annotated[float | None, Note("share of wrong answers to stay under; the model answers only from a confidence on that promises it with 95 % certainty, chosen on dev; it answers always when not given", above=0, below=1)] = None
    explained_errors: Annotated[int, Note("errors that the report explains by word attributions; none when 0", low=0, high=100)] = 5
    generated_samples: Annotated[int, Note("texts that a language model generates for the report; none when 0", low=0, high=1000)] = 12
    batch_tokens: Annotated[int, Note("tokens of one forward pass", low=16)] = 4096
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Note("what a trained model computes in; auto: predictions in bf16 where the machine multiplies it, scores in fp32")] = "auto"


@dataclass(frozen=True)
class Weights:
    """How a model's weights are loaded and saved.

    >>> model = headstart.load("reviews-run", dtype="bf16")
    """

    dtype: Annotated[Literal["fp32", "bf16", "fp16", "auto"], Note("type that the weights are loaded in; auto: the one that they are stored in; what is computed in is evaluation.precision's")] = "fp32"
    save_dtype: Annotated[Literal["fp32", "bf16", "fp16"], Note("type that the weights of a run's model are saved in; bf16 and fp16 take half the space, and the run's scores are those of the rounded weights")] = "fp32"


@dataclass(frozen=True)
class Generation:
    """How a model writes.

    >>> model = headstart.load("distilgpt2")
    >>> rows = model.generate(["The old town"], settings=headstart.Generation(max_new_tokens=20, num_beams=2))
    """

    max_new_tokens: Annotated[int, Note("tokens generated at most; -1: as many as the model takes", low=-1)] = 64
    min_new_tokens: Annotated[int, Note("tokens generated at least", low=0)] = 0
    do_sample: Annotated[bool, Note("sample tokens (--sample) instead of greedy decoding")] = False
    temperature: Annotated[float, Note("of sampling: below 1 sharpens the distribution, above 1 flattens it", above=0)] = 1.0
    top_k: Annotated[int, Note("sample from this many most probable tokens; all when 0", low=0)] = 0
    top_p: Annotated[float, Note("sample from the most probable tokens that have this probability together", above=0, high=1)] = 1.0
    min_p: Annotated[float, Note("sample from tokens of at least this share of the highest probability", low=0, high=1)] = 0.0
    typical_p: Annotated[float, Note("typical sampling: from the tokens nearest to the expected information that have this probability together", above=0, high=1)] = 1.0
    num_beams: Annotated[int, Note("beams of beam search", low=1)] = 1
    length_penalty: Annotated[float, Note("of beam search: scores are divided by length to this power")] = 1.0
    num_beam_groups: Annotated[int, Note("groups of diverse beam search; returned texts are the best of each group in turn", low=1)] = 1
    diversity_penalty: Annotated[float, Note("subtracted from a token's score for each beam of an earlier group that chose it at the same step", low=0)] = 0.5
    penalty_alpha: Annotated[float, Note("contrastive search: weight of the degeneration penalty, among the top_k most probable tokens (4 when 0); 0.6 is usual", low=0, high=1)] = 0.0
    prompt_lookup_num_tokens: Annotated[int, Note("greedy decoding proposes this many tokens at once, those that followed the last words earlier in the text, and checks them in one pass (10 is usual); off when 0", low=0, high=100)] = 0
    repetition_penalty: Annotated[float, Note("scores of tokens that occurred already are divided by this", above=0)] = 1.0
    no_repeat_ngram_size: Annotated[int, Note("no n-gram of this size occurs twice; off when 0", low=0)] = 0
    num_return_sequences: Annotated[int, Note("texts per prompt", low=1)] = 1
    batch_size: Annotated[int, Note("prompts generated in one batch", low=1)] = 32
    prefix: Annotated[str, Note("text read before each prompt and not printed; auto: a neutral one for XLNet and "
                                 "Transformer-XL, none: nothing")] = "auto"
    language: Annotated[str | None, Note("language of a multilingual XLM, by the name in its config: en, fr …")] = None
    control_code: Annotated[str, Note("CTRL's control code before each prompt; none: generate without one")] = ""
    layout: Annotated[Literal["auto", "raw", "prompt", "chat"], Note(
        "how a prompt is laid out; raw: as it is, prompt: with a line end, chat: by the tokenizer's chat template (--chat); "
        "auto: as the run was trained, raw for a model that is not a run")] = "auto"


@dataclass(frozen=True)
class Adapter:
    """What is trained with training.adapter=lora."""

    rank: Annotated[int, Note("rank of the matrices", low=1, high=4096)] = 8
    alpha: Annotated[float, Note("their output is multiplied by alpha / rank", above=0)] = 16.0
    dropout: Annotated[float, Note("of their input", low=0, below=1)] = 0.0
    target_modules: Annotated[str, Note("'all' linear layers, or some by their name in the model: q_proj,v_proj")] = "all"


@dataclass(frozen=True)
class EarlyExit:
    """When a text is answered before the last layer, by a model that was trained with training.early_exit (PABEE)."""

    patience: Annotated[Count, Note("a text is answered once so many layers in a row agree with the layer before them; half the layers when not given, and from the number of layers on every text is read by all", low=1)] = None
    pooling: Annotated[Literal["mean", "first"], Note("what the classifiers after earlier layers read: the mean of a text's token states, or its first token's as in the paper; set when the model is trained")] = "mean"
    threshold: Annotated[float | None, Note("of numbers: two layers agree where theirs differ by less than this, in the target's unit; a tenth of the training targets' standard deviation when not given", low=0)] = None


@dataclass(frozen=True)
class ZeroShot:
    """How texts get labels that a model was never trained on (predict and evaluate with --labels)."""

    hypothesis_template: Annotated[str, Note("by entailment: the sentence that a text may entail, {} stands for the label or its description")] = "This example is {}."
    multi_label: Annotated[bool, Note("by entailment: any number of labels for a text, each entailed or contradicted, instead of one")] = False
    temperature: Annotated[float, Note("by similarity: cosines are divided by it before the softmax; 0.05 is what most sentence encoders are trained with", low=0.001)] = 0.05


@dataclass(frozen=True)
class Steering:
    """How strongly a text is steered (Dathathri et al. 2020).

    >>> model = headstart.load("distilgpt2")
    >>> rows = model.generate(["The old town"], max_new_tokens=5, steer=["sea"], steering=headstart.Steering(stepsize=0.03))
    """

    stepsize: Annotated[float, Note("size of each step of the keys and values; unsteered when 0", low=0)] = 0.02
    num_iterations: Annotated[int, Note("steps per token", low=0, high=1000)] = 3
    grad_length: Annotated[int, Note("steer this many first tokens, none after", low=0)] = 10_000
    window_length: Annotated[int, Note("change the keys and values of this many last tokens; of all when 0", low=0)] = 0
    horizon_length: Annotated[int, Note("tokens that an attribute head looks ahead", low=0, high=100)] = 1
    decay: Annotated[bool, Note("within the window, earlier tokens change less")] = False
    gamma: Annotated[float, Note("gradients are divided by their norm to this power", low=0)] = 1.5
    gm_scale: Annotated[float, Note("share of the steered distribution in the geometric mean with the unsteered one", low=0, high=1)] = 0.9
    kl_scale: Annotated[float, Note("weight of the KL divergence from the unsteered distribution", low=0)] = 0.01
    top_k: Annotated[int, Note("sample from this many most probable tokens; all when 0", low=0)] = 10
    do_sample: Annotated[bool, Note("sample tokens, as --sample does")] = False
    uncond: Annotated[bool, Note("start from the model's start token alone; prompts are ignored")] = False


@dataclass(frozen=True)
class Index:
    """How documents are cut into passages, and what is kept of those."""

    passage_words: Annotated[int, Note("approximate words per passage: it ends with a sentence", low=10, high=1000)] = 100
    overlap: Annotated[int, Note("most words that neighbouring passages share, in whole sentences; at most half of index.passage_words", low=0, high=500)] = 20
    near_duplicates: Annotated[float | None, Note("near duplicates, which share this much of their word 3-grams, are merged into the first; none: all are kept", low=0.7, high=1)] = 0.9
    titles: Annotated[bool, Note("title and section are searched with each passage's text")] = True
    vector_dtype: Annotated[Literal["float16", "int8"], Note("type of the stored vectors; int8 takes half the space")] = "float16"


@dataclass(frozen=True)
class Distil:
    """How a smaller student is made of a trained teacher (headstart distil)."""

    layers: Annotated[int | str, Note("the teacher's layers that the student keeps: a count, or a list from 0 (0,2,5); half of them when empty", low=1)] = ""
    encoder_layers: Annotated[int | str, Note("the same of an encoder-decoder's encoder; all of them when empty", low=1)] = ""
    decoder_layers: Annotated[int | str, Note("the same of its decoder; half of them when empty", low=1)] = ""
    freeze_encoder: Annotated[bool, Note("freeze an encoder whose layers are all kept (training.freeze=encoder)")] = True
    with_teacher: Annotated[bool, Note("distil from the teacher's outputs; false: prune its layers and fine-tune")] = True
    temperature: Annotated[float, Note("by which both models' logits are divided before they are compared", above=0)] = 2.0
    alpha_soft: Annotated[float, Note("weight of the loss on the teacher's outputs", low=0)] = 0.5
    alpha_task: Annotated[float, Note("weight of the task's own loss", low=0)] = 0.5
    alpha_hidden: Annotated[float | None, Note("weight of the loss on the teacher's hidden states; 1 when not given, 0 for another width", low=0)] = None
    alpha_cosine: Annotated[float | None, Note("weight of the cosine loss on last hidden states; 0 when not given, 0.1 for a masked language model", low=0)] = None
    normalise_hidden: Annotated[bool, Note("compare hidden states after bringing each to mean 0 and variance 1")] = True
    layer_map: Annotated[str, Note("which states are compared, student:teacher, layers from 1 (1:2,2:4,3:6); evenly when empty")] = ""


@dataclass(frozen=True)
class Mining:
    """What is made of questions and an index (--index)."""

    negatives: Annotated[int, Note("hard negatives of each question, for a re-ranker or a retriever (which takes the first task.negatives of them)", low=0, high=100)] = 3
    positives: Annotated[int, Note("positive passages of each question, the best ranked by search", low=1, high=100)] = 2
    search_depth: Annotated[int, Note("passages retrieved by each search as candidates for negatives", low=1, high=1000)] = 50
    margin: Annotated[float, Note("a passage scored above this share of the positive's score may be a false negative and is not used", above=0)] = 0.95
    passages: Annotated[int, Note("passages given to the model with each question", low=1, high=50)] = 5
    answer_score: Annotated[float, Note("further answers with this score or more count as correct, too")] = 3.0


PROMPT_SETTINGS = ("layout", "prefix", "language", "control_code", "prompt_lookup_num_tokens")  # of generation, where a text is continued after a prompt
GROUPS: dict[str, type] = {"data": Data, "training": Training, "adapter": Adapter, "early_exit": EarlyExit, "evaluation": Evaluation, "model": Weights, "generation": Generation,
                           "steering": Steering, "zero_shot": ZeroShot, "distil": Distil, "mining": Mining, "index": Index}
RUN_GROUPS = {name: group for name, group in GROUPS.items() if name not in ("index", "steering", "zero_shot")}  # what a run is set by
