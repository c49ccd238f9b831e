"""The Trainer of transformers as somebody sets it who knows it: batches of 16, a tenth of warm-up, a line down to 0,
weight decay 0.01, dev scored after every epoch and the best epoch kept, bf16 where the processor has it.

Every function gives what `predictions` of the same rows are in headstart: labels, numbers, tags or answers.
"""

from pathlib import Path
from typing import Any

import numpy as np
from default_sets import Row, Set, Splits
from question_answering import windows

import headstart
from headstart.training.precision import choose_precision

BATCH_SIZE = 16


def train_peer(part: Set, splits: Splits, model: str, rate: float, seed: int, folder: Path) -> list[Any]:
    """Train at one learning rate and predict the test rows."""
    return {"text-classification": sentence_peer, "regression": sentence_peer, "token-tagging": tagging_peer,
            "question-answering": answering_peer}[part.task](part, splits, model, rate, seed, folder)


def arguments(part: Set, rate: float, seed: int, folder: Path, metric: str) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        str(folder), num_train_epochs=part.epochs, per_device_train_batch_size=BATCH_SIZE,
        per_device_eval_batch_size=32, learning_rate=rate, warmup_steps=0.1, weight_decay=0.01, seed=seed,
        bf16=choose_precision("auto", "cpu")[0] == "bf16", use_cpu=True, report_to=[], disable_tqdm=True,
        logging_strategy="no", eval_strategy="epoch", save_strategy="epoch", save_total_limit=1, save_only_model=True,
        load_best_model_at_end=True, metric_for_best_model=metric, greater_is_better=metric != "loss")


def sentence_peer(part: Set, splits: Splits, model: str, rate: float, seed: int, folder: Path) -> list[Any]:
    """Classes or a number of one text or two."""
    from scipy.stats import spearmanr
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    is_number = part.task == "regression"
    labels = [] if is_number else sorted({row["label"] for row in splits.train})
    module = AutoModelForSequenceClassification.from_pretrained(model, num_labels=max(1, len(labels)))

    def encode(rows: list[Row]) -> list[dict[str, Any]]:
        return [{**tokenizer(row["text"], row.get("pair"), truncation=True, max_length=256),
                 "labels": float(row["target"]) if is_number else labels.index(row["label"])} for row in rows]

    def dev_score(output: Any) -> dict[str, float]:
        gold = output.label_ids
        if is_number:
            return {"score": float(np.nan_to_num(spearmanr(gold, output.predictions[:, 0])[0]))}
        predicted = output.predictions.argmax(-1)
        return {"score": {"accuracy": accuracy_score, "matthews": matthews_corrcoef,
                          "macro_f1": lambda *pair: f1_score(*pair, average="macro")}[part.score](gold, predicted)}

    trainer = Trainer(module, arguments(part, rate, seed, folder, "score"), train_dataset=encode(splits.train),
                      eval_dataset=encode(splits.dev), data_collator=DataCollatorWithPadding(tokenizer),
                      compute_metrics=dev_score)
    trainer.train()
    outputs = trainer.predict(encode(splits.test)).predictions
    return outputs[:, 0].tolist() if is_number else [labels[index] for index in outputs.argmax(-1)]


def tagging_peer(part: Set, splits: Splits, model: str, rate: float, seed: int, folder: Path) -> list[Any]:
    """Tags of words: the first piece of a word carries its tag."""
    from default_scores import entity_f1
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        Trainer,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    labels = sorted({tag for row in splits.train for tag in row["tags"]})
    module = AutoModelForTokenClassification.from_pretrained(model, num_labels=len(labels))

    def first_pieces(row: Row) -> tuple[Any, list[int | None]]:
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, max_length=256)
        words = encoded.word_ids()
        return encoded, [None if word is None or word in words[:index] else word for index, word in enumerate(words)]

    def encode(rows: list[Row]) -> list[dict[str, Any]]:
        features = []
        for row in rows:
            encoded, words = first_pieces(row)
            features.append({"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"],
                             "labels": [-100 if word is None or row["tags"][word] not in labels
                                        else labels.index(row["tags"][word]) for word in words]})
        return features

    def tags_of(rows: list[Row], outputs: Any) -> list[list[str]]:
        predictions = []
        for row, scores in zip(rows, outputs, strict=True):
            tags = ["O"] * len(row["tokens"])
            for position, word in enumerate(first_pieces(row)[1]):
                if word is not None:
                    tags[word] = labels[int(scores[position].argmax())]
            predictions.append(tags)
        return predictions

    trainer = Trainer(module, arguments(part, rate, seed, folder, "score"), train_dataset=encode(splits.train),
                      eval_dataset=encode(splits.dev), data_collator=DataCollatorForTokenClassification(tokenizer),
                      compute_metrics=lambda output: {"score": entity_f1(
                          [row["tags"] for row in splits.dev], tags_of(splits.dev, output.predictions))})
    trainer.train()
    trainer.compute_metrics = None  # it scores dev rows
    return tags_of(splits.test, trainer.predict(encode(splits.test)).predictions)


def answering_peer(part: Set, splits: Splits, model: str, rate: float, seed: int, folder: Path) -> list[Any]:
    """Answers to questions: run_qa's features, headstart's decoding of what was trained."""
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DataCollatorWithPadding, Trainer, set_seed

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    module = AutoModelForQuestionAnswering.from_pretrained(model)

    def encode(rows: list[Row]) -> list[dict[str, Any]]:
        features = windows([{**row, "context": row["passage"]} for row in rows], tokenizer, pad=False)
        known = set(tokenizer.model_input_names) | {"start_positions", "end_positions"}
        return [{name: value for name, value in feature.items() if name in known} for feature in features]

    trainer = Trainer(module, arguments(part, rate, seed, folder, "loss"), train_dataset=encode(splits.train),
                      eval_dataset=encode(splits.dev), data_collator=DataCollatorWithPadding(tokenizer))
    trainer.train()
    module.save_pretrained(folder / "best")
    tokenizer.save_pretrained(folder / "best")
    rows = [{"question": row["question"], "passage": row["passage"]} for row in splits.test]
    return [row["prediction"] for row in headstart.load(str(folder / "best")).predict(rows)]
