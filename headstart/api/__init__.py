"""The Python interface: finetune, load, Model, Run; questions on documents; backbones without a head."""
