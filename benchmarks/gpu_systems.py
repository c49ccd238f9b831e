"""What benchmarks/gpu.py measures: headstart and transformers on the shapes of four models, weights from a seed."""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TOKENS = {"minilm": 24, "distilbert": 384, "bert-base": 512, "smollm": 512}  # longest text of a batch
BATCH = {"minilm": 32, "distilbert": 32, "bert-base": 64, "smollm": 16}
VOCABULARY = 30522
SHAPES: dict[str, tuple[str, dict[str, int]]] = {
    "minilm": ("bert", {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                        "intermediate_size": 1536, "max_position_embeddings": 512}),
    "distilbert": ("distilbert", {"dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072,
                                  "max_position_embeddings": 512}),
    "bert-base": ("bert", {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                           "intermediate_size": 3072, "max_position_embeddings": 512}),
    "smollm": ("llama", {"hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
                         "num_key_value_heads": 3, "intermediate_size": 1536, "max_position_embeddings": 2048})}
NEW_TOKENS = 64


def model_folder(shape: str, folder: Path, small: bool) -> Path:
    """A plain model folder with weights from a seed; a decoder with the layer that writes."""
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny

    family, changes = SHAPES[shape]
    changes = {"max_position_embeddings": 512} if small else changes | {"vocab_size": VOCABULARY}
    return Path(tiny.model_folder(family, folder, "causal-language-model" if shape == "smollm" else None, **changes))


def rows(vocabulary: int, count: int, longest: int) -> list[list[int]]:
    """Token ids of texts whose lengths lie between half of the longest and the longest."""
    drawn = random.Random(0)
    return [[drawn.randrange(10, vocabulary) for _ in range(drawn.randint(longest // 2, longest))]
            for _ in range(count)]


def synchronise(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def peak(device: str) -> float:
    """Billions of operations a second of a large bf16 product on this device."""
    import torch

    size = 8192 if device == "cuda" else 512
    left, right = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        synchronise(device)
        start = time.perf_counter()
        for _ in range(4):
            left @ right
        synchronise(device)
        best = min(best, (time.perf_counter() - start) / 4)
    return 2 * size**3 / best / 1e9


def warmup_of(steps: int) -> int:
    return max(2, steps // 5)


def headstart_train(folder: Path, shape: str, steps: int, device: str) -> dict[str, float]:
    """The loop of a run: batches are laid out, moved and computed in it."""
    import numpy as np

    from headstart.contract import Feature, HeadSpec, Target
    from headstart.data.features.batches import collate
    from headstart.models.loading.load import load
    from headstart.settings import Training
    from headstart.training.loop import train
    from headstart.training.losses import build_loss
    from headstart.training.objectives.objective import total_weight
    from headstart.training.state import TrainingState

    spec, size = HeadSpec("sequence-classification", 2, ("no", "yes")), BATCH[shape]
    model = load(str(folder), spec, seed=0, device=device)
    texts = rows(model.module.config.vocab_size, size * steps, TOKENS[shape])
    features = [Feature(ids, targets={"label": Target(index % 2)}) for index, ids in enumerate(texts)]
    settings, layout = Training(learning_rate=1e-5, batch_size=size), model.layout(packed=model.can_pack)
    state = TrainingState.initial(model, settings, precision="bf16", device=device)
    tokens, start = 0, 0.0
    for step in train(state, lambda epoch: np.arange(len(texts)).reshape(steps, size),
                      lambda indices, count: [collate([features[index] for index in indices], layout)],
                      build_loss(spec.loss, settings, (1, 1)), total_weight, settings, total_steps=steps, seed=0,
                      precision="bf16", device=device):
        if step.number == warmup_of(steps):
            synchronise(device)
            tokens, start = 0, time.perf_counter()
        elif step.number > warmup_of(steps):
            tokens += step.tokens
    synchronise(device)
    return {"amount": tokens, "seconds": time.perf_counter() - start}


def timed(logits: Callable[[list[list[int]]], Any], vocabulary: int, shape: str, steps: int,
          device: str) -> dict[str, float]:
    """Logits of batches of texts of like length, which are brought back one batch after the other."""
    import torch

    texts, tokens, start = sorted(rows(vocabulary, BATCH[shape] * steps, TOKENS[shape]), key=len), 0, 0.0
    for number in range(steps):
        if number == warmup_of(steps):
            synchronise(device)
            tokens, start = 0, time.perf_counter()
        part = texts[number * BATCH[shape]:(number + 1) * BATCH[shape]]
        with torch.inference_mode():
            logits(part).float().cpu()
        tokens += sum(map(len, part))
    return {"amount": tokens, "seconds": time.perf_counter() - start}


def headstart_predict(folder: Path, shape: str, steps: int, device: str) -> dict[str, float]:
    """Batches of texts of like length through a copy of the model in bf16, laid out in the loop."""
    from headstart.contract import Feature, HeadSpec
    from headstart.data.features.batches import collate
    from headstart.models.loading.load import load
    from headstart.models.precision import in_precision

    model = in_precision(load(str(folder), HeadSpec("sequence-classification", 2, ("no", "yes")), seed=0,
                              device=device), "bf16")
    layout = model.layout(packed=model.can_pack)
    return timed(lambda part: model.forward(collate([Feature(ids) for ids in part], layout))["logits"],
                 model.module.config.vocab_size, shape, steps, device)


def peer_predict(folder: Path, shape: str, steps: int, device: str) -> dict[str, float]:
    """The bare model in bf16 on batches of texts of like length."""
    import torch

    model, _, collator = peer_parts(folder)
    model = model.to(device, torch.bfloat16).eval()

    def logits(part: list[list[int]]) -> Any:
        batch = collator([{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in part])
        return model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits

    return timed(logits, model.config.vocab_size, shape, steps, device)


def peer_parts(folder: Path) -> tuple[Any, Any, Any]:
    """transformers' own model, tokenizer and collator."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer, DataCollatorWithPadding(tokenizer)


def peer_train(folder: Path, shape: str, steps: int, device: str) -> dict[str, float]:
    """The Trainer with bf16, texts of like length together and fused AdamW."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    model, _, collator = peer_parts(folder)
    texts, clock = rows(model.config.vocab_size, BATCH[shape] * steps, TOKENS[shape]), {"tokens": 0.0, "start": 0.0}

    class Clock(TrainerCallback):
        def on_step_end(self, arguments: Any, state: Any, control: Any, **options: Any) -> None:
            if state.global_step == warmup_of(steps):
                synchronise(device)
                clock["tokens"], clock["start"] = 0, time.perf_counter()

    def collate(features: list[dict[str, Any]]) -> Any:
        clock["tokens"] += sum(feature["length"] for feature in features)
        return collator([{key: value for key, value in feature.items() if key != "length"} for feature in features])

    dataset = [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": index % 2, "length": len(ids)}
               for index, ids in enumerate(texts)]
    with tempfile.TemporaryDirectory() as output:
        arguments = TrainingArguments(
            output, per_device_train_batch_size=BATCH[shape], learning_rate=1e-5, use_cpu=device == "cpu", report_to=[],
            save_strategy="no", num_train_epochs=1, logging_steps=10_000, remove_unused_columns=False,
            disable_tqdm=True, bf16=True, train_sampling_strategy="group_by_length", length_column_name="length",
            optim="adamw_torch_fused")
        Trainer(model, arguments, train_dataset=dataset, data_collator=collate, callbacks=[Clock()]).train()
    synchronise(device)
    return {"amount": clock["tokens"], "seconds": time.perf_counter() - clock["start"]}


def headstart_write(folder: Path, texts: int, device: str) -> dict[str, float]:
    """Greedy continuations of prompts, in bf16; the second time, as the first warms up."""
    import headstart

    model, seconds = headstart.load(folder, precision="bf16", device=device), 0.0
    for _ in range(2):
        start = time.perf_counter()
        model.generate(["the film was"] * texts, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS)
        seconds = time.perf_counter() - start
    return {"amount": texts * NEW_TOKENS, "seconds": seconds}


def peer_write(folder: Path, texts: int, device: str) -> dict[str, float]:
    """The same by transformers' generate."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, seconds = AutoTokenizer.from_pretrained(folder), 0.0
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device).eval()
    for _ in range(2):
        start = time.perf_counter()
        inputs = tokenizer(["the film was"] * texts, return_tensors="pt").to(device)
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False)
        tokenizer.batch_decode(ids)
        seconds = time.perf_counter() - start
    return {"amount": texts * NEW_TOKENS, "seconds": seconds}
