"""SetFit with its own defaults, in a Python that has it: prints its predictions and the seconds that it took.

    PYTHON benchmarks/few_rows_setfit.py TRAIN.csv TEST.csv MODEL SEED
"""

import csv
import json
import sys
import tempfile
import time


def read_rows(path: str) -> list[tuple[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def main() -> None:
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(1)
    train_path, test_path, model_folder, seed = sys.argv[1:]
    train, test = read_rows(train_path), read_rows(test_path)
    start = time.process_time()
    model = SetFitModel.from_pretrained(model_folder, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, seed=int(seed), report_to="none", save_strategy="no",
                                      show_progress_bar=False)
        trainer = Trainer(model=model, args=arguments, train_dataset=Dataset.from_dict(
            {"text": [text for text, _ in train], "label": [label for _, label in train]}))
        trainer.train()
        predictions = [str(label) for label in model.predict([text for text, _ in test])]
    print(json.dumps({"predictions": predictions, "seconds": time.process_time() - start}))


if __name__ == "__main__":
    main()
