"""The Python interface: finetune, load, Model, Run; questions on documents; bare backbones."""
