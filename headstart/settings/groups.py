"""Every setting of the machinery on one line: name, type, default, help, unit and bounds; flags, file keys and docs come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from headstart.settings.note import Count, Note, Part


@dataclass(frozen=True)
class Data:
    """How the user's file is read, split and cut."""

    bad_rows: Annotated[Literal["stop", "skip"], Note("what to do with rows that cannot be used; skipped ones are counted and listed")] = "stop"
    header: Annotated[bool, Note("whether the first line names the columns (--no-header says it does not)")] = True
    delimiter: Annotated[str, Note("what parts the fields of a csv or tsv file; found by itself when empty")] = ""
    encoding: Annotated[str, Note("how the file's bytes are text; found by itself when empty")] = ""
    by: Annotated[str, Note("a column of the dev and test rows (a language, a source): each of its values is scored by itself too; a,b two such columns, a+b their pairs")] = ""
    choose_by: Annotated[str, Note("dev rows of this value of data.by alone choose the checkpoint")] = ""
    longest: Annotated[Count, Note("tokens of one model input; from the data's lengths and the model's limit when not given", low=8)] = None
    language: Annotated[str | None, Note("language of the texts, for an XLM of several: en, fr …; of the sources, for an mBART: en_XX")] = None
    target_language: Annotated[str | None, Note("language that is written, for an mBART: ro_RO …")] = None
    split: Annotated[str, Note("shares of train/dev/test when one file is given")] = "80/10/10"
    workers: Annotated[int, Note("processes that make the training rows' features; 0: this one (quickest below some 100,000 rows)", low=0, high=256)] = 0
    cache: Annotated[str, Note("folder where the training rows' features are kept by a hash of all that they are made from; none when empty")] = ""
    train_rows: Annotated[Part, Note("train on a part: a count, or a share below 1; seeded and stratified", above=0)] = None
    dev_rows: Annotated[Part, Note("the same for dev", above=0)] = None
    test_rows: Annotated[Part, Note("the same for test", above=0)] = None


@dataclass(frozen=True)
class Training:
    """How the model is trained."""

    epochs: Annotated[float | None, Note("times through the training rows; from the data's size when not given", above=0)] = None
    updates: Annotated[Count, Note("stop after this many updates instead", low=1)] = None
    batch_size: Annotated[int, Note("examples of one update", low=1)] = 32
    batch_tokens: Annotated[Count, Note("tokens of one update, padding and what is written included, in the place of batch_size; off when not given", low=16)] = None
    micro_batch: Annotated[Count, Note("examples that go through the model at once; when not given, 1,024 to 8,192 tokens by the model's size (65,536 on a GPU)", low=1)] = None
    learning_rate: Annotated[float | None, Note("peak; from the model's width and the data's size when not given", above=0, below=1)] = None
    schedule: Annotated[Literal["linear", "cosine", "cosine-restarts", "polynomial", "constant"], Note("how the learning rate falls after the warm-up")] = "linear"
    warmup: Annotated[float, Note("share of all updates, 0 to 1", low=0, high=1)] = 0.1
    warmup_updates: Annotated[Count, Note("the same as a number of updates", low=0)] = None
    restarts: Annotated[int, Note("cycles of cosine-restarts", low=1)] = 2
    power: Annotated[float, Note("exponent of polynomial", above=0)] = 2.0
    optimizer: Annotated[Literal["adamw", "adafactor"], Note("how weights are moved")] = "adamw"
    weight_decay: Annotated[float, Note("pull of the weights to 0 an update; not on biases, norms, and embeddings of tokens that training never shows", low=0)] = 0.01
    beta1: Annotated[float, Note("memory of the mean gradient", low=0, below=1)] = 0.9
    beta2: Annotated[float, Note("memory of its square", low=0, below=1)] = 0.999
    epsilon: Annotated[float, Note("added to the root of the square", above=0)] = 1e-8
    clip: Annotated[float | None, Note("longest gradient; none when 0", low=0)] = 1.0
    layer_decay: Annotated[float, Note("learning rate of each layer as a share of the one above it", above=0, high=1)] = 1.0
    freeze: Annotated[str, Note("'embeddings', 'layers:N' (embeddings and the first N layers), 'encoder' (where another part writes) or 'backbone'; nothing when empty")] = ""
    adapter: Annotated[Literal["none", "lora"], Note("train small matrices beside the model's layers instead of the layers (adapter.*; needs peft)")] = "none"
    dropout: Annotated[float | None, Note("of hidden states; the model's own when not given", low=0, below=1)] = None
    attention_dropout: Annotated[float | None, Note("of attention weights; the model's own when not given", low=0, below=1)] = None
    layer_drop: Annotated[float | None, Note("share of the layers that each batch leaves out (BART and its kin); the model's own when not given", low=0, below=1)] = None
    label_smoothing: Annotated[float, Note("share of the target spread over all classes", low=0, below=1)] = 0.0
    class_weights: Annotated[Literal["none", "balanced"], Note("'balanced' weighs a class by 1 / its share")] = "none"
    focal_gamma: Annotated[float, Note("focal loss: how much sure examples count less; 0 is cross-entropy", low=0)] = 0.0
    gradient_checkpointing: Annotated[bool, Note("less memory, about a third slower")] = False
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Note("of the matrix products; auto: bf16 where the machine has it")] = "auto"
    batcher: Annotated[Literal["auto", "bucketed", "packed"], Note("padded batches of similar length, or several examples in one row")] = "auto"
    evaluate_every: Annotated[Count, Note("updates between evaluations on dev; once an epoch when not given", low=1)] = None
    save_every: Annotated[Count, Note("updates between checkpoints; at each evaluation when not given", low=1)] = None
    keep: Annotated[int, Note("newest checkpoints that are kept, beside the best", low=1)] = 1
    keep_best: Annotated[int, Note("best checkpoints that are kept", low=1, high=100)] = 1
    patience: Annotated[Count, Note("evaluations without a better score before training stops; never when not given", low=1)] = None


@dataclass(frozen=True)
class Evaluation:
    """How the model is measured."""

    baselines: Annotated[bool, Note("fit cheap rivals on the same split")] = True
    resamples: Annotated[int, Note("bootstrap resamples of each interval; none when 0", low=0, high=100_000)] = 1000
    explained: Annotated[int, Note("wrong answers whose words the report weighs (encoders); none when 0", low=0, high=100)] = 5
    samples: Annotated[int, Note("texts that a language model writes for the report; none when 0", low=0, high=1000)] = 12
    batch_tokens: Annotated[int, Note("tokens that go through the model at once", low=16)] = 4096


@dataclass(frozen=True)
class Generation:
    """How a model writes."""

    new_tokens: Annotated[int, Note("tokens that are written at most; -1: as many as the model takes", low=-1)] = 64
    least_tokens: Annotated[int, Note("tokens that are written at least", low=0)] = 0
    sample: Annotated[bool, Note("draw each token (--sample) instead of taking the likeliest")] = False
    temperature: Annotated[float, Note("of the draws: below 1 the likely becomes likelier", above=0)] = 1.0
    top_k: Annotated[int, Note("draw among so many likeliest tokens; all when 0", low=0)] = 0
    top_p: Annotated[float, Note("draw among the likeliest tokens that have this share together", above=0, high=1)] = 1.0
    min_p: Annotated[float, Note("draw among tokens at least this likely, as a share of the likeliest", low=0, high=1)] = 0.0
    typical_p: Annotated[float, Note("draw among the tokens of most expected surprise that have this share together", above=0, high=1)] = 1.0
    beams: Annotated[int, Note("ways that are followed side by side", low=1)] = 1
    length_penalty: Annotated[float, Note("of beams: a score is divided by length to this power")] = 1.0
    beam_groups: Annotated[int, Note("groups of beams that keep away from one another's tokens (diverse beams); answers are the best of each in turn", low=1)] = 1
    diversity: Annotated[float, Note("what a token's score loses for each beam of an earlier group that took it at the same step", low=0)] = 0.5
    contrast: Annotated[float, Note("contrastive search: weight of being unlike every token before, among the top_k likeliest (4 when 0); 0.6 is usual", low=0, high=1)] = 0.0
    repetition_penalty: Annotated[float, Note("scores of tokens that stand there already are divided by this", above=0)] = 1.0
    no_repeat_ngram: Annotated[int, Note("no so many tokens come twice; any may when 0", low=0)] = 0
    answers: Annotated[int, Note("texts for each prompt", low=1)] = 1
    at_once: Annotated[int, Note("prompts that are written on side by side", low=1)] = 32
    passage: Annotated[str, Note("text that is read before each prompt and left out of what is written; auto: a neutral one for XLNet and "
                                 "Transformer-XL, none: nothing")] = "auto"
    language: Annotated[str | None, Note("language of an XLM of several, by the name in its config: en, fr …")] = None
    control_code: Annotated[str, Note("CTRL's code that is put before each prompt; none: write without one")] = ""
    chat: Annotated[bool, Note("lay prompts out by the tokenizer's chat template (--chat)")] = False


@dataclass(frozen=True)
class Adapter:
    """What is trained with training.adapter=lora."""

    rank: Annotated[int, Note("width of the small matrices", low=1, high=4096)] = 8
    alpha: Annotated[float, Note("what they give is multiplied by alpha / rank", above=0)] = 16.0
    dropout: Annotated[float, Note("of what goes into them", low=0, below=1)] = 0.0
    targets: Annotated[str, Note("'all' linear layers, or some by their name in the model: q_proj,v_proj")] = "all"


@dataclass(frozen=True)
class Steering:
    """How strongly a text is steered (Dathathri et al. 2020)."""

    stepsize: Annotated[float, Note("how far keys and values move each time; not at all when 0", low=0)] = 0.02
    num_iterations: Annotated[int, Note("times that they move for a token", low=0, high=1000)] = 3
    grad_length: Annotated[int, Note("so many first tokens are steered, later ones are not", low=0)] = 10_000
    window_length: Annotated[int, Note("keys and values of so many last tokens move; of all when 0", low=0)] = 0
    horizon_length: Annotated[int, Note("tokens that an attribute head looks ahead", low=0, high=100)] = 1
    decay: Annotated[bool, Note("within the window, earlier tokens move less")] = False
    gamma: Annotated[float, Note("gradients are divided by their norm to this power", low=0)] = 1.5
    gm_scale: Annotated[float, Note("share of the steered distribution in the geometric mean with the unsteered one", low=0, high=1)] = 0.9
    kl_scale: Annotated[float, Note("weight of staying near the unsteered distribution", low=0)] = 0.01
    top_k: Annotated[int, Note("draw among so many likeliest tokens; all when 0", low=0)] = 10
    sample: Annotated[bool, Note("draw each token, as --sample does")] = False
    uncond: Annotated[bool, Note("begin from nothing but the model's start token; prompts are left out")] = False


@dataclass(frozen=True)
class Index:
    """How documents are cut into passages, and what is kept of those."""

    words: Annotated[int, Note("words of a passage, about: it ends with a sentence", low=10, high=1000)] = 100
    overlap: Annotated[int, Note("words that neighbouring passages share at most, whole sentences; no more than half of index.words", low=0, high=500)] = 20
    near_duplicates: Annotated[float | None, Note("passages with this share of word triples in common are folded into the first; none: all are kept", low=0.7, high=1)] = 0.9
    titles: Annotated[bool, Note("title and section are searched with each passage's text")] = True
    vectors: Annotated[Literal["float16", "int8"], Note("how the numbers of vectors are kept; int8 takes half the space")] = "float16"


@dataclass(frozen=True)
class Distil:
    """How a smaller student is made of a trained teacher (headstart distil)."""

    layers: Annotated[int | str, Note("the teacher's layers that the student keeps: a count, or a list from 0 (0,2,5); half of them when empty", low=1)] = ""
    encoder_layers: Annotated[int | str, Note("the same of an encoder-decoder's encoder; all of them when empty", low=1)] = ""
    decoder_layers: Annotated[int | str, Note("the same of its decoder; half of them when empty", low=1)] = ""
    freeze_encoder: Annotated[bool, Note("leave an encoder that was kept whole as it is (training.freeze=encoder)")] = True
    with_teacher: Annotated[bool, Note("learn from the teacher's outputs too; false: shrink it and fine-tune")] = True
    temperature: Annotated[float, Note("that both models' outputs are divided by before they are compared", above=0)] = 2.0
    alpha_soft: Annotated[float, Note("weight of being like the teacher's outputs", low=0)] = 0.5
    alpha_task: Annotated[float, Note("weight of the task's own loss", low=0)] = 0.5
    alpha_hidden: Annotated[float | None, Note("weight of being like the teacher's hidden states; 1 when not given, 0 for another width", low=0)] = None
    alpha_cosine: Annotated[float | None, Note("weight of the angle between last states; 0 when not given, 0.1 for masked words", low=0)] = None
    normalise_hidden: Annotated[bool, Note("compare hidden states after bringing each to mean 0 and variance 1")] = True
    matched: Annotated[str, Note("which states are compared, student:teacher, layers from 1 (1:2,2:4,3:6); evenly when empty")] = ""


@dataclass(frozen=True)
class Mining:
    """What is made of questions and an index (--index)."""

    negatives: Annotated[int, Note("hard negatives of each question, for a re-ranker or a retriever (which takes the first task.negatives of them)", low=0, high=100)] = 3
    positives: Annotated[int, Note("passages that answer a question which are learned, those first that a search finds first", low=1, high=100)] = 2
    depth: Annotated[int, Note("passages that each search lists, among which negatives are looked for", low=1, high=1000)] = 50
    margin: Annotated[float, Note("a passage nearer to the question than this share of the right one's nearness may be right, too: no negative", above=0)] = 0.95
    passages: Annotated[int, Note("passages that a writer is given with each question", low=1, high=50)] = 5
    answer_score: Annotated[float, Note("further answers of a question with this score or more are right, too")] = 3.0


GROUPS: dict[str, type] = {"data": Data, "training": Training, "adapter": Adapter, "evaluation": Evaluation, "generation": Generation,
                           "steering": Steering, "distil": Distil, "mining": Mining, "index": Index}
RUN_GROUPS = {name: held for name, held in GROUPS.items() if name != "index"}  # what a run is set by
